internal import AccountAdministration
internal import Accounts
internal import ArgumentParser
private import Bytes

struct Alias: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Addresses of our domains that lead to others.",
        discussion: "Exit codes: 0; 1 when something could not be done; 64 for a wrong call.", subcommands: [Add.self, Remove.self, List.self])

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds an alias.", discussion: "Whoever an alias leads to may send as it, and also as what leads to the alias.")

        @Argument(help: ArgumentHelp(AddressArgument.description))
        var address: AddressArgument

        @Argument(help: "Where its mail goes: addresses here or elsewhere.")
        var targets: [TargetArgument]

        func run() throws {
            let accounts = try AccountsHome.open()
            try AccountsHome.told { () throws(AccountFailure) in try accounts.addAlias(address.address, to: targets.map(\.target)) }
            print("added: \(address.address.bytes.text)")
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Removes an alias.")

        @Argument(help: "Its address.")
        var address: AddressArgument

        func run() throws {
            let accounts = try AccountsHome.open()
            try AccountsHome.told { () throws(AccountFailure) in try accounts.removeAlias(address.address) }
            print("removed: \(address.address.bytes.text)")
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists aliases.",
            discussion: "On a terminal a table. In a pipe one line for each: the address, a tab, and what it leads to, with commas between.")

        @Argument(help: "Only those of this domain.")
        var domain: DomainArgument?

        @Flag(help: "One JSON object for each alias, on a line of its own.")
        var json = false

        func run() throws {
            guard let accounts = try AccountsHome.openIfThere() else { return }
            let aliases = try AccountsHome.told { () throws(AccountFailure) in try accounts.aliases(of: domain?.domain) }
            var table = AccountTable(["ALIAS", "LEADS TO"], isJSON: json)
            for alias in aliases {
                table.add(
                    [alias.address, alias.targets.map(Terminal.visible).joined(separator: ",")],
                    json: [("address", JSON.quoted(alias.address)), ("targets", AccountTable.json(alias.targets.map(\.text)))])
            }
            table.finish()
        }
    }
}
