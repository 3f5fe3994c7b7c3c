internal import ArgumentParser

struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Takes over from another mail system.", subcommands: [Qmail.self])
}
