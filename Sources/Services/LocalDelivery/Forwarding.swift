internal import Addresses
private import Frames
private import Glibc
internal import MailboxStorage
private import Posix

/// Gives a message to the queue for other addresses, through qmail-queue's protocol (spec-qmail §3.1), or the program that `QMAILQUEUE`
/// names in its place.
struct Forwarding {
    let sender: [UInt8]
    let recipients: [Address]

    /// - Returns: the number that the queue's log calls it by.
    func queue(_ deliveredTo: [UInt8], _ message: MessageContent) throws(Undeliverable) -> Int32 {
        let content = try Pipe()
        let addresses = try Pipe()
        let pid = try start(content, addresses)
        let isWritten = write(deliveredTo, message, content, addresses)
        // Without the end of the envelope nothing is queued.
        content.closeWriting()
        addresses.closeWriting()
        switch try Forwarding.wait(pid) {
        case .exited(0) where isWritten: return pid
        case .exited(0): throw .deferred("Unable to forward message: \(QueueRefusal.readError.text).\n")
        case .exited(let code): throw Forwarding.failure(code)
        case .killed: throw .deferred("Unable to forward message: qq crashed (#4.3.0).\n")
        }
    }

    private func write(_ deliveredTo: [UInt8], _ message: MessageContent, _ content: Pipe, _ addresses: Pipe) -> Bool {
        do throws(SystemError) {
            try writeAll(deliveredTo + message.head, to: content.writing)
            try message.forEachChunkAfterHead { (chunk) throws(SystemError) in
                try writeAll(chunk, to: content.writing)
                return true
            }
            content.closeWriting()
            try writeAll(envelope, to: addresses.writing)
            return true
        } catch {
            return false
        }
    }

    /// `Fsender NUL`, `Trecipient NUL` …, `NUL`
    private var envelope: [UInt8] {
        [UInt8(ascii: "F")] + sender + [0] + recipients.flatMap { [UInt8(ascii: "T")] + $0.bytes + [0] } + [0]
    }

    private func start(_ content: Pipe, _ addresses: Pipe) throws(Undeliverable) -> Int32 {
        let path = Forwarding.variable("QMAILQUEUE") ?? Array("bin/qmail-queue".utf8)
        let program = ChildProgram(
            path: path, arguments: [path],
            environment: ["PATH", "QMAILHOME"].compactMap { name in Forwarding.variable(name).map { Array("\(name)=".utf8) + $0 } },
            directory: Forwarding.variable("QMAILHOME") ?? Array("/var/qmail".utf8))
        defer {
            content.closeReading()
            addresses.closeReading()
        }
        do throws(SystemError) {
            return try program.start([content.reading, addresses.reading, 2])
        } catch {
            throw Forwarding.failure(120)
        }
    }

    private static func variable(_ name: String) -> [UInt8]? {
        getenv(name).map { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
    }

    private static func wait(_ pid: Int32) throws(Undeliverable) -> ChildProgram.End {
        do throws(SystemError) {
            return try ChildProgram.wait(pid)
        } catch {
            throw .deferred("Unable to forward message: qq waitpid surprise (#4.3.0).\n")
        }
    }

    /// spec-qmail §3.2: what the exit codes of qmail-queue mean to its clients.
    private static func failure(_ code: Int32) -> Undeliverable {
        let known = UInt8(exactly: code).flatMap(QueueRefusal.init)?.text
        switch code {
        case 120: return .deferred("Unable to forward message: unable to exec qq (#4.3.0).\n")
        case 11...40: return .failed("Unable to forward message: \(known ?? "qq permanent problem (#5.3.0)").\n")
        default: return .deferred("Unable to forward message: \(known ?? "qq temporary problem (#4.3.0)").\n")
        }
    }
}
