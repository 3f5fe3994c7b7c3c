private import Bytes
private import Dates
package import Frames
private import Injection
private import Posix
private import QueueAdministration

/// qmail-qread (spec-qmail §4.2): every message in the queue with its recipients. Even complaints go to descriptor 1.
enum QmailQread {
    static func run(_: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        var output = Output(1)
        var code = ExitCode.ok
        do throws(SystemError) { try QmailHome.enter() } catch {
            output.write("fatal: unable to chdir: \(error.reason)\n")
            code = ExitCode.temporary
        }
        if code == ExitCode.ok {
            do throws(AdminClient.Failure) { try list(&output) } catch {
                output.write("fatal: \(error.text)\n")
                code = ExitCode.temporary
            }
        }
        output.flush()
        return output.hasFailed ? ExitCode.temporary : code
    }

    private static func list(_ output: inout Output) throws(AdminClient.Failure) {
        var listing = QueueListing()
        try AdminClient().ask(.list(.everything)) { answer in
            switch answer {
            case .message(let message): output.write(listing.begin(message))
            case .recipients(let recipients): output.write(listing.take(recipients))
            default: break
            }
        }
        output.write(listing.finish())
    }
}

/// The lines of qmail-qread. Local recipients come first, whatever order the queue tells them in.
package struct QueueListing {
    private var remote: [UInt8] = []

    package init() {}

    package mutating func begin(_ message: Admin.Message) -> [UInt8] {
        var result = finish()
        result += "\(MailDate(message.birth).dateAndTime) GMT  #\(message.id)  \(message.size)  <".utf8
        result += QueueListing.visible(message.sender.bytes)
        result += (message.isBouncing ? ">  bouncing\n" : "> \n").utf8
        return result
    }

    package mutating func take(_ recipients: [Admin.Recipient]) -> [UInt8] {
        var local: [UInt8] = []
        for recipient in recipients {
            let start = recipient.isDone ? "  done\t" : "\t"
            switch recipient.channel {
            case .local: local += "\(start)local\t".utf8 + QueueListing.visible(recipient.address.bytes) + [ASCII.lf]
            case .remote: remote += "\(start)remote\t".utf8 + QueueListing.visible(recipient.address.bytes) + [ASCII.lf]
            }
        }
        return local
    }

    /// What of the last message was held back.
    package mutating func finish() -> [UInt8] {
        defer { remote = [] }
        return remote
    }

    private static func visible(_ bytes: [UInt8]) -> [UInt8] { bytes.map { $0 >= ASCII.space && $0 <= 0x7E ? $0 : ASCII.underscore } }
}
