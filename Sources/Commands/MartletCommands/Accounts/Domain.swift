internal import AccountAdministration
internal import Accounts
private import Addresses
internal import ArgumentParser
private import Bytes
private import ControlFiles
private import Routing

struct Domain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The domains whose addresses are accounts of ours.",
        discussion: """
            A domain of accounts is one that stands neither in control/locals nor in control/virtualdomains: its addresses are those that martlet user and \
            martlet alias add, whatever users the system has. Mail for it is taken at once, also when control/rcpthosts does not name it.

            Exit codes: 0; 1 when something could not be done; 64 for a wrong call.
            """,
        subcommands: [Add.self, Remove.self, List.self, CatchAll.self])

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Adds a domain.")

        @Argument(help: "Its name; letters of other scripts are taken too.")
        var domain: DomainArgument

        @Option(help: ArgumentHelp("Where mail for addresses goes that are not there; may be given several times.", valueName: "address"))
        var catchAll: [TargetArgument] = []

        func run() throws {
            let accounts = try AccountsHome.open()
            try Domain.checkIsFree(domain.domain)
            try AccountsHome.told { () throws(AccountFailure) in try accounts.add(domain.domain, catchAll: catchAll.map(\.target)) }
            print("added: \(domain.domain.bytes.text)")
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes a domain.", discussion: "Mail for it that is in the queue is returned: there is no mailbox by that name.")

        @Argument(help: "Its name.")
        var domain: DomainArgument

        @Flag(help: "Remove its mailboxes and aliases too. The mail in them stays in its folders.")
        var withUsers = false

        @Flag(help: "Remove all mail in its mailboxes as well, for ever.")
        var withMail = false

        func run() throws {
            let accounts = try AccountsHome.open()
            try AccountsHome.told { () throws(AccountFailure) in
                try accounts.remove(domain.domain, withUsers: withUsers || withMail, withMail: withMail)
            }
            print("removed: \(domain.domain.bytes.text)")
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists domains.",
            discussion: """
                On a terminal a table. In a pipe one line for each, its fields behind tabs: name, mailboxes, aliases, catch-all (commas between).
                """)

        @Flag(help: "One JSON object for each domain, on a line of its own.")
        var json = false

        func run() throws {
            guard let accounts = try AccountsHome.openIfThere() else { return }
            let domains = try AccountsHome.told { () throws(AccountFailure) in try accounts.domains() }
            var table = AccountTable(["DOMAIN", "MAILBOXES", "ALIASES", "CATCH-ALL"], isJSON: json)
            for domain in domains {
                let catchAll = domain.catchAll.map(Terminal.visible)
                table.add(
                    [domain.name, "\(domain.mailboxes)", "\(domain.aliases)", catchAll.joined(separator: ",")],
                    json: [
                        ("domain", JSON.quoted(domain.name)), ("mailboxes", "\(domain.mailboxes)"), ("aliases", "\(domain.aliases)"),
                        ("catchAll", AccountTable.json(domain.catchAll.map(\.text))),
                    ])
            }
            table.finish()
        }
    }

    struct CatchAll: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "catch-all", abstract: "Says where mail goes for addresses of a domain that are not there.",
            discussion: "Without an address such mail is refused, as it is at first. One that names a mailbox as user-extension is there.")

        @Argument(help: "The domain.")
        var domain: DomainArgument

        @Argument(help: "Where the mail goes.")
        var addresses: [TargetArgument] = []

        func run() throws {
            let accounts = try AccountsHome.open()
            try AccountsHome.told { () throws(AccountFailure) in try accounts.setCatchAll(addresses.map(\.target), of: domain.domain) }
            print("changed: \(domain.domain.bytes.text)")
        }
    }

    /// The files of qmail go first: a domain in both would have accounts that no mail comes to.
    private static func checkIsFree(_ domain: AccountDomain) throws(Complaint) {
        let rewriting: AddressRewriting
        do throws(ControlFileError) { rewriting = try AddressRewriting(ControlDirectory()) } catch { throw Complaint("\(error)") }
        guard let postmaster = Address(Array("postmaster@".utf8) + domain.bytes), rewriting.leavesToAccounts(postmaster) else {
            throw Complaint("\(domain.bytes.text) is delivered by control/locals or control/virtualdomains: take it out there first")
        }
    }
}
