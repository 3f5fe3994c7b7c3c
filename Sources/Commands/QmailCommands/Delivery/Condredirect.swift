private import Glibc
private import Posix

/// condredirect (qmail §12.2): sends a message elsewhere, and nowhere else, if a program wants that.
enum Condredirect {
    static let synopsis = "newaddress program [ arg ... ]"
    /// Tells qmail-local to look at no further line.
    static let stop: Int32 = 99

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        guard call.arguments.count >= 2 else { return usage("condredirect", "condredirect " + synopsis) }
        guard let sender = call.environment["SENDER"] else { return fatal("condredirect", "SENDER not set", ExitCode.permanent) }
        guard let line = call.environment["DTLINE"] else { return fatal("condredirect", "DTLINE not set", ExitCode.permanent) }
        switch Condition.ask(Array(call.arguments.dropFirst()), for: "condredirect") {
        case .holds: break
        case .fails: return ExitCode.ok
        case .unknown(let code): return code
        }
        guard lseek(0, 0, SEEK_SET) == 0 else {
            return fatal("condredirect", "unable to rewind: \(errorText(errno))", ExitCode.temporary)
        }
        let code = Redelivery.queue(for: "condredirect", line, sender: sender, recipients: [call.arguments[0]], call.environment)
        return code == ExitCode.ok ? stop : code
    }
}
