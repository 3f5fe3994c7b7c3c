internal import ArgumentParser

struct Queue: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Looks into the queue and changes what is in it.",
        discussion: """
            Everything may be done while mail flows. What an action says to have done is on disk. Members of the group martlet-admin may list and show \
            envelopes; actions and contents are for root and the account of the queue.

            Exit codes: 0; 1 when something could not be done, such as a message that is not there; 64 for a wrong call.
            """,
        subcommands: [List.self, Show.self, Hold.self, Release.self, Retry.self, Expire.self, Remove.self, Reroute.self])
}
