private import Bytes

/// bouncesaying (qmail §12.2): bounces a message with a text, if a program wants that.
enum Bouncesaying {
    static let synopsis = "error [ program [ arg ... ] ]"

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        guard let text = call.arguments.first else { return usage("bouncesaying", "bouncesaying " + synopsis) }
        let program = Array(call.arguments.dropFirst())
        if !program.isEmpty {
            switch Condition.ask(program, for: "bouncesaying") {
            case .holds: break
            case .fails: return ExitCode.ok
            case .unknown(let code): return code
            }
        }
        writeAll((text + [ASCII.lf])[...], to: 2)
        return ExitCode.permanent
    }
}
