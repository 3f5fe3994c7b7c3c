/// forward (qmail §12.2): sends a message on to other addresses.
enum Forward {
    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        guard let sender = call.environment["NEWSENDER"] else { return fatal("forward", "NEWSENDER not set", ExitCode.permanent) }
        guard let line = call.environment["DTLINE"] else { return fatal("forward", "DTLINE not set", ExitCode.permanent) }
        return Redelivery.queue(for: "forward", line, sender: sender, recipients: call.arguments, call.environment)
    }
}
