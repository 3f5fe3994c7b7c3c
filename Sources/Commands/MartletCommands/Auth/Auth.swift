internal import ArgumentParser
internal import Frames
private import Glibc
private import LoginAdministration
private import Posix

struct Auth: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows and changes who is refused at logins.",
        discussion: "What fails too often is refused for a time that doubles: by address, by network, by account. Nothing of it outlives role auth.",
        subcommands: [List.self, Ban.self, Release.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists who is refused, then who has failed lately.",
            discussion: """
                On a terminal a table. In a pipe one line each, its fields behind tabs: kind, subject, failures, seconds that it is still refused for \
                (0: it is not; forever).
                """)

        @Flag(help: "One JSON object for each, on a line of its own.")
        var json = false

        func run() throws {
            var table = AuthTable(isJSON: json)
            try Auth.connected { (auth) throws(LoginAdministrator.Failure) in try auth.list { table.add($0) } }
            table.finish()
        }
    }

    struct Ban: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Refuses an address, a network or an account.")

        @Argument(help: SubjectArgument.help) var subject: SubjectArgument
        @Option(name: .customLong("for"), help: "Seconds; without it until it is released, or auth is started anew.")
        var seconds: UInt32 = 0

        func run() throws {
            try Auth.connected { (auth) throws(LoginAdministrator.Failure) in try auth.ban(subject.subject, seconds: seconds) }
        }
    }

    struct Release: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Forgets the failures and bans of an address, a network or an account.")

        @Argument(help: SubjectArgument.help) var subject: SubjectArgument

        func run() throws {
            var isKnown = true
            try Auth.connected { (auth) throws(LoginAdministrator.Failure) in isKnown = try auth.release(subject.subject) }
            if !isKnown { throw Complaint("nothing is known of \(subject.text): see martlet auth list") }
        }
    }

    private static func connected(_ body: (LoginAdministrator) throws(LoginAdministrator.Failure) -> Void) throws {
        try enterHome()
        do throws(LoginAdministrator.Failure) { try body(LoginAdministrator()) } catch { throw complaint(error) }
    }

    private static func complaint(_ failure: LoginAdministrator.Failure) -> Complaint {
        switch failure {
        case .lost: Complaint("auth went away before it had answered: run this again")
        case .refused: Complaint("only root and the account of auth may do this: run it as root")
        case .connecting(let error):
            switch error.errno {
            case ENOENT, ECONNREFUSED: Complaint("auth is not running: start martletd, or say where it runs by QMAILHOME=DIR")
            case EACCES: Complaint("no permission to ask auth: run this as root, or join the group martlet-admin")
            default: Complaint("unable to reach auth: \(error)")
            }
        }
    }
}
