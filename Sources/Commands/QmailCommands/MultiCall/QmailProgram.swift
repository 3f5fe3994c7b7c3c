private import Bytes

/// The multi-call program: which applet to be is said by the name it is called under, or by the first argument.
///
/// Module `QmailCommands` holds the small programs under their qmail names. They have no right that their caller has not, are clients of the queue
/// as any other, and say by exit code what qmail's say (``ExitCode``). No SwiftNIO, no Foundation: they start in milliseconds.
package enum QmailProgram {
    /// - Returns: the exit code.
    package static func run() -> Int32 {
        var call = Invocation.ofProcess()
        if let applet = applet(call.programName) { return run(applet, call) }
        guard let first = call.arguments.first else { return print(Manual.overview(Applet.all), to: 2, ExitCode.permanent) }
        if first.elementsEqual("--help".utf8) { return print(Manual.overview(Applet.all), to: 1, ExitCode.ok) }
        if first.elementsEqual("--names".utf8) { return print(Manual.names(Applet.all), to: 1, ExitCode.ok) }
        if first.elementsEqual("--man".utf8) {
            guard call.arguments.count == 2, let applet = applet(call.arguments[1]) else { return usage("qmail", "qmail --man PROGRAM") }
            return print(Manual.page(applet), to: 1, ExitCode.ok)
        }
        guard let applet = applet(first) else { return fatal("qmail", "no such program: \(first.text); see qmail --help", ExitCode.permanent) }
        call.programName = call.arguments.removeFirst()
        return run(applet, call)
    }

    private static func run(_ applet: Applet, _ call: Invocation) -> Int32 {
        if call.arguments.count == 1, call.arguments[0].elementsEqual("--help".utf8) { return print(Manual.help(applet), to: 1, ExitCode.ok) }
        return applet.run(call)
    }

    private static func applet(_ name: [UInt8]) -> Applet? { Applet.all.first { name.elementsEqual($0.name.utf8) } }

    private static func print(_ text: String, to descriptor: Int32, _ code: Int32) -> Int32 {
        writeAll(Array(text.utf8)[...], to: descriptor) ? code : ExitCode.temporary
    }
}
