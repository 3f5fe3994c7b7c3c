/// except (qmail §12.2): turns a program's answer round.
enum Except {
    static let synopsis = "program [ arg ... ]"

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        guard !call.arguments.isEmpty else { return usage("except", "except " + synopsis) }
        return switch Condition.ask(call.arguments, for: "except") {
        case .holds: ExitCode.permanent
        case .fails: ExitCode.ok
        case .unknown(let code): code
        }
    }
}
