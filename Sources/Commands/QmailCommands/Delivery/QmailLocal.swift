private import Addresses
private import Bytes
private import Frames
private import Glibc
private import LocalDelivery
private import Posix

/// qmail-local (spec-qmail §7.1): delivers the message on descriptor 0 to one address, as the user who calls it. The delivery itself is that of
/// the delivery worker.
enum QmailLocal {
    private static let synopsis = "qmail-local [ -nN ] user homedir local dash ext domain sender aliasempty"

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        umask(0o077)
        signal(SIGPIPE, SIG_IGN)
        let options: Options
        do throws(Options.Failure) { options = try Options(call.arguments, accepting: "nN") } catch {
            writeAll(error.message(call.programName)[...], to: 2)
            return usage("qmail-local", synopsis)
        }
        let arguments = options.rest.map { $0[...] }
        guard arguments.count == 8, arguments[1].first == ASCII.slash else { return usage("qmail-local", synopsis) }
        guard let sender = Address(arguments[6]) else {
            return print(.failed("Sorry, sender address has a line break or is too long. (#5.1.7)\n"))
        }
        let request = WorkerRequest(
            slot: 0, user: arguments[0], home: arguments[1], localPart: arguments[2], dash: arguments[3], ext: arguments[4], domain: arguments[5],
            sender: sender, settings: DeliverySettings(defaultDelivery: arguments[7], programSeconds: 0))
        let isDescribing = options.options.last?.letter == "n"
        return isDescribing ? describe(request) : deliver(request)
    }

    private static func deliver(_ request: WorkerRequest) -> Int32 {
        // Users' programs would be root's.
        guard geteuid() != 0 else { return print(.deferred("Not allowed to perform deliveries as root.\n")) }
        let message = dup(0)
        guard message >= 0 else { return print(.deferred("Unable to read message: \(errorText(errno)). (#4.3.0)\n")) }
        return print(LocalDelivery(.inherited).deliver(request, FileDescriptor(owning: message)))
    }

    private static func describe(_ request: WorkerRequest) -> Int32 {
        let description = LocalDelivery().describe(request)
        if description.isSticky { writeAll(Array("Warning: home directory is sticky.\n".utf8)[...], to: 2) }
        writeAll(description.text[...], to: 1)
        return description.failure.map(print) ?? ExitCode.ok
    }

    private static func print(_ failure: Undeliverable) -> Int32 { print(failure.report) }

    private static func print(_ report: DeliveryReport) -> Int32 {
        writeAll(report.text, to: report.outcome == .delivered ? 1 : 2)
        switch report.outcome {
        case .delivered: return ExitCode.ok
        case .deferred: return ExitCode.temporary
        case .failed: return ExitCode.permanent
        }
    }
}
