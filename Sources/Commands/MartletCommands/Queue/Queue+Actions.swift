internal import ArgumentParser
private import RemoteDelivery

extension Queue {
    struct Hold: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stops deliveries of messages until they are released.",
            discussion: "Deliveries under way go on. The messages grow older meanwhile.")
        @OptionGroup var options: ActionOptions
        func run() throws { try options.perform(.hold, "held") }
    }

    struct Release: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lets held messages go on.", discussion: "What came due meanwhile is tried at once.")
        @OptionGroup var options: ActionOptions
        func run() throws { try options.perform(.release, "released") }
    }

    struct Retry: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tries messages now, whenever they are due.", discussion: "Held messages stay held.")
        @OptionGroup var options: ActionOptions
        func run() throws { try options.perform(.retry, "due now") }
    }

    struct Expire: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Gives recipients up now, as if the message had been in the queue too long: they bounce.",
            discussion: """
                Only the recipients that are selected, when --recipient, --domain or --channel is given. The bounce goes out, one for the message, when no \
                recipient is left that waits. A delivery under way may still succeed.
                """)
        @OptionGroup var options: ActionOptions
        func run() throws { try options.perform(.expire, "expired") }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Discards recipients without telling anybody.",
            discussion: """
                Only the recipients that are selected, when --recipient, --domain or --channel is given; those that failed and have not bounced yet among \
                them. Each has its line in the log. A delivery under way may still succeed.
                """)
        @OptionGroup var options: ActionOptions
        func run() throws { try options.perform(.remove, "removed") }
    }

    struct Reroute: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Decides anew where waiting recipients go, or sends them by another host.",
            discussion: """
                Without --via the queue reads locals, virtualdomains, percenthack and envnoathost again, and each recipient goes where they say now. With \
                --via the selected remote recipients go to that host instead of their domain's exchangers, whatever smtproutes says; a later reroute without \
                --via takes that back. Rerouted recipients are tried at once. Recipients that are being delivered to stay as they are.
                """)
        @OptionGroup var options: ActionOptions

        @Option(
            help: ArgumentHelp("The host that takes the mail, as in control/smtproutes: relay.example, [192.0.2.1]:2525.", valueName: "host[:port]"))
        var via: String?

        func validate() throws {
            guard let via else { return }
            guard !via.isEmpty, via.utf8.count <= 255, !via.contains(" "), let route = SMTPRoutes.route(Array(via.utf8)), route != .exchangers else {
                throw ValidationError("--via takes HOST or HOST:PORT, an IPv6 address in brackets; '\(via)' is neither")
            }
        }

        func run() throws { try options.perform(via.map { .rerouteVia(Array($0.utf8)) } ?? .reroute, "rerouted") }
    }
}
