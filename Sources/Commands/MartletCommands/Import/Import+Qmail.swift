internal import ArgumentParser
private import Glibc
private import QmailImport

extension Import {
    struct Qmail: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "qmail", abstract: "Takes over the files and the queue of a stopped qmail.",
            discussion: """
                DIR is the home of qmail, netqmail or notqmail, which must not run; nothing in it is changed. Neither may martletd run here.

                Files of control, users and alias that are not here yet are copied. Then every message of the queue is imported with its state: who has \
                it already, who waits, what failed recipients were told, its age and its next attempt. An import that was cut off goes on when the same \
                command is given again; no message comes twice.

                Exit codes: 0 when all was imported or left out on purpose, each thing left out having its line; 111 when something could not be \
                imported; 64 for a wrong call.
                """)

        @Argument(help: "The home of qmail: the folder that holds control and queue.")
        var dir: String

        @Flag(help: "Say what would be done, and do nothing.")
        var dryRun = false

        @Flag(help: "Replace files of control, users and alias that are here and differ.")
        var overwrite = false

        @Flag(help: "One JSON object at the end instead of lines.")
        var json = false

        func run() throws {
            // Before the working directory changes.
            guard let home = Qmail.absolute(dir) else { throw ValidationError("there is no folder \(dir)") }
            try enterHome()
            let output = ImportOutput(isJSON: json, isDryRun: dryRun)
            let report = output.report()
            var refusal: String?
            do throws(ImportRefusal) {
                try HomeImport(home, isDryRun: dryRun, overwrites: overwrite, report).run()
            } catch {
                refusal = error.description
            }
            output.end(report, refusal)
            if refusal != nil || !report.isComplete { throw ExitCode(111) }
        }

        private static func absolute(_ path: String) -> String? {
            guard let found = realpath(path, nil) else { return nil }
            defer { free(found) }
            return String(cString: found)
        }
    }
}
