private import Addresses
internal import ArgumentParser

struct RouteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "route", abstract: "Tells where mail to an address goes, and why.",
        discussion: """
            Nothing is sent and nothing need run. Local: who gets it, and by which .qmail file where the caller may look. Remote: the hosts and addresses in \
            the order in which they are tried, with what a connection must have before mail goes over it. DNS is asked as control/resolvers says.

            Exit codes: 0; 1 when a message would be deferred or bounce; 64 for a wrong call.
            """)

    @Argument(help: "The recipient, as it stands in an envelope: alice@example.org.")
    var address: String

    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        guard let recipient = Address(address.utf8), !recipient.isNull else {
            throw ValidationError("an address has at most \(Address.maxBytes) bytes and no line ends")
        }
        try enterHome()
        let answer = try RouteAnswer(recipient)
        print(json ? answer.json : answer.text)
        if answer.goesNowhere { throw ExitCode.failure }
    }
}
