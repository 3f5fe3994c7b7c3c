internal import AccountAdministration
internal import Accounts
internal import ArgumentParser
private import Bytes

struct User: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The mailboxes of our domains.",
        discussion: """
            A mailbox lies in mailboxes/DOMAIN/USER below the home of the mail system and belongs to the account in control/vmailuser (vmail), as all of \
            them do. A .qmail in it goes before what stands here; programs are not run there. user+anything@domain is the mailbox's address too; \
            user-extension@domain is where it has a .qmail-extension.

            Exit codes: 0; 1 when something could not be done; 64 for a wrong call.
            """,
        subcommands: [Add.self, Remove.self, List.self, Passwd.self, Quota.self, Forward.self, App.self, Load.self, Rebuild.self])

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes a mailbox. Its mail stays in its folder.",
            discussion: "Who adds it again says with --adopt whether the old mail is his.")

        @Argument(help: "Its address.")
        var address: AddressArgument

        @Flag(help: "Remove its mail as well, for ever.")
        var withMail = false

        func run() throws {
            let accounts = try AccountsHome.open()
            try AccountsHome.told { () throws(AccountFailure) in try accounts.removeUser(address.address, withMail: withMail) }
            print("removed: \(address.address.bytes.text)")
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists mailboxes.",
            discussion: """
                On a terminal a table. In a pipe one line for each, its fields behind tabs: address, quota in bytes and in messages (0: none), keep or \
                forward, where mail is sent on (commas between), password or none, application passwords.
                """)

        @Argument(help: "Only those of this domain.")
        var domain: DomainArgument?

        @Flag(help: "One JSON object for each mailbox, on a line of its own.")
        var json = false

        func run() throws {
            guard let accounts = try AccountsHome.openIfThere() else { return }
            let users = try AccountsHome.told { () throws(AccountFailure) in try accounts.users(of: domain?.domain) }
            var table = AccountTable(["ADDRESS", "QUOTA", "LOGIN", "SENT ON TO"], isJSON: json)
            for user in users { table.add(User.fields(user), shown: User.shown(user), json: User.json(user)) }
            table.finish()
        }
    }

    private static func fields(_ user: UserSummary) -> [String] {
        [
            user.address, "\(user.quota.bytes)", "\(user.quota.messages)", user.keepsMail ? "keep" : "forward",
            user.forwards.map(Terminal.visible).joined(separator: ","), user.hasPassword ? "password" : "none", "\(user.applicationPasswords)",
        ]
    }

    private static func shown(_ user: UserSummary) -> [String] {
        let quota = [
            user.quota.bytes > 0 ? SizeArgument.text(user.quota.bytes) : nil,
            user.quota.messages > 0 ? Terminal.counted(user.quota.messages, "message") : nil,
        ].compactMap { $0 }.joined(separator: ", ")
        let login = [user.hasPassword ? "password" : nil, user.applicationPasswords > 0 ? "\(user.applicationPasswords) app" : nil]
            .compactMap { $0 }.joined(separator: ", ")
        let forwards = user.forwards.map(Terminal.visible).joined(separator: ", ")
        return [user.address, quota, login.isEmpty ? "-" : login, user.keepsMail ? forwards : "\(forwards) (not kept)"]
    }

    private static func json(_ user: UserSummary) -> [(String, String)] {
        [
            ("address", JSON.quoted(user.address)), ("quotaBytes", "\(user.quota.bytes)"), ("quotaMessages", "\(user.quota.messages)"),
            ("keepsMail", "\(user.keepsMail)"), ("forwards", AccountTable.json(user.forwards.map(\.text))), ("hasPassword", "\(user.hasPassword)"),
            ("applicationPasswords", "\(user.applicationPasswords)"),
        ]
    }

    struct Quota: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says how much a mailbox may hold.", discussion: "Mail that would go beyond it is returned to its sender. 0 is no limit.")

        @Argument(help: "The mailbox.")
        var address: AddressArgument

        @Argument(help: "Bytes: 500M, 2G.")
        var size: SizeArgument

        @Option(help: "And so many messages.")
        var messages: UInt32 = 0

        func run() throws {
            let accounts = try AccountsHome.open()
            try AccountsHome.told { () throws(AccountFailure) in
                try accounts.setQuota(Accounts.Quota(bytes: size.bytes, messages: messages), of: address.address)
            }
            print("changed: \(address.address.bytes.text)")
        }
    }

    struct Forward: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says where the mail of a mailbox is sent on to.", discussion: "Without an address: nowhere.")

        @Argument(help: "The mailbox.")
        var address: AddressArgument

        @Argument(help: "Where its mail is sent on to.")
        var targets: [TargetArgument] = []

        @Flag(help: "Keep no copy in the mailbox.")
        var noCopy = false

        func run() throws {
            let accounts = try AccountsHome.open()
            try AccountsHome.told { () throws(AccountFailure) in
                try accounts.setForwards(targets.map(\.target), keepsMail: !noCopy, of: address.address)
            }
            print("changed: \(address.address.bytes.text)")
        }
    }

    struct Rebuild: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes users/accounts.cdb and auth/accounts.cdb anew, and folders that are missing.",
            discussion:
                "After a change of control/vmailuser, or of what other commands said to mend. Others do it by themselves when it was left undone.")

        func run() throws {
            let accounts = try AccountsHome.open()
            try AccountsHome.told { () throws(AccountFailure) in
                try accounts.publishAgain()
                try accounts.mendFolders()
            }
        }
    }
}

extension SizeArgument {
    /// In the largest unit that loses nothing.
    static func text(_ bytes: UInt64) -> String {
        let unit = units.filter { bytes.isMultiple(of: $0.value) }.max { $0.value < $1.value }
        return unit.map { "\(bytes / $0.value)\($0.key)" } ?? "\(bytes)"
    }
}
