internal import ArgumentParser

struct Queue: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Looks into the queue.", subcommands: [List.self])
}
