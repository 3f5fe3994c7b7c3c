private import Bytes
private import Manuals

/// The multi-call program: which applet to be is said by the name it is called under, or by the first argument.
///
/// Module `QmailCommands` holds the small programs under their qmail names. They have no right that their caller has not, are clients of the queue
/// as any other, and say by exit code what qmail's say (``ExitCode``). No SwiftNIO, no Foundation: they start in milliseconds.
package enum QmailProgram {
    /// - Parameter families: the programs that it can be.
    /// - Returns: the exit code.
    package static func run(_ families: [Applet.Family]) -> Int32 {
        var call = Invocation.ofProcess()
        if let applet = Applet.named(call.programName, in: families) { return run(applet, call) }
        let all = { families.flatMap { $0() } }
        guard let first = call.arguments.first else { return print(Manual.overview(all()), to: 2, ExitCode.permanent) }
        if first.elementsEqual("--help".utf8) { return print(Manual.overview(all()), to: 1, ExitCode.ok) }
        if first.elementsEqual("--names".utf8) { return print(Manual.names(all()), to: 1, ExitCode.ok) }
        if first.elementsEqual("--man".utf8) {
            guard call.arguments.count == 2, let applet = Applet.named(call.arguments[1], in: families) else {
                return usage("qmail", "qmail --man PROGRAM")
            }
            return print(applet.manual.page, to: 1, ExitCode.ok)
        }
        guard let applet = Applet.named(first, in: families) else {
            return fatal("qmail", "no such program: \(first.text); see qmail --help", ExitCode.permanent)
        }
        call.programName = call.arguments.removeFirst()
        return run(applet, call)
    }

    private static func run(_ applet: Applet, _ call: Invocation) -> Int32 {
        if call.arguments.count == 1, call.arguments[0].elementsEqual("--help".utf8) { return print(applet.manual.help, to: 1, ExitCode.ok) }
        return applet.run(call)
    }

    private static func print(_ text: String, to descriptor: Int32, _ code: Int32) -> Int32 {
        writeAll(Array(text.utf8)[...], to: descriptor) ? code : ExitCode.temporary
    }
}
