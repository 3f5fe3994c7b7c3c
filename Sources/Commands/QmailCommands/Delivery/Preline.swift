private import Bytes
private import Posix

/// preline (qmail §12.2): runs a program that expects the lines which delivery would have put in front of the message.
enum Preline {
    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        let options: Options
        do throws(Options.Failure) { options = try Options(call.arguments, accepting: "frdFRD") } catch {
            writeAll(error.message(call.programName)[...], to: 2)
            return usage()
        }
        let variables = [(Character("f"), "UFLINE"), ("r", "RPLINE"), ("d", "DTLINE")]
        var lines: [UInt8] = []
        for (letter, name) in variables {
            guard let line = call.environment[name] else { return usage() }
            // The last of -f and -F counts, and so on.
            let last = options.options.last { $0.letter == letter || $0.letter == Character(letter.uppercased()) }
            if last?.letter != letter { lines += line }
        }
        guard let command = options.rest.first else { return usage() }
        return run(command, options.rest, lines)
    }

    private static func usage() -> Int32 { QmailCommands.usage("preline", "preline cmd [ arg ... ]") }

    private static func run(_ command: [UInt8], _ arguments: [[UInt8]], _ lines: [UInt8]) -> Int32 {
        do throws(FedChild.Failure) {
            switch try FedChild.run(arguments, after: lines, mayStopReading: false) {
            case .exited(let code): return code
            case .killed: return fatal("preline", "child crashed", ExitCode.temporary)
            }
        } catch {
            switch error {
            case .starting(let error):
                let text = "unable to run ".utf8 + command + ": \(error.reason)".utf8
                return fatal("preline", text, error.isTemporary ? ExitCode.temporary : ExitCode.permanent)
            case .copying(let error): return fatal("preline", "unable to copy input: \(error.reason)", ExitCode.temporary)
            }
        }
    }
}
