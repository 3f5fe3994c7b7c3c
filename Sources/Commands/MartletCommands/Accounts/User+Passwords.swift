internal import AccountAdministration
internal import Accounts
internal import ArgumentParser
private import Bytes
private import Dates
private import Posix

/// Where a new password comes from.
struct PasswordOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Take the password from the first line of this file; - for standard input.", valueName: "file"))
    var passwordFile: String?

    @Flag(help: "Nobody logs in with a password of the mailbox's own.")
    var noPassword = false

    static let discussion = "The password is asked for on a terminal; in a pipe it is the first line of standard input. It is never an argument."

    /// Nil: none. Before the home is entered: the file's path begins where the caller is.
    func read(for address: AccountAddress) throws(Complaint) -> [UInt8]? {
        noPassword ? nil : try PasswordInput.read(passwordFile, for: address.bytes.text)
    }
}

extension User {
    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Adds a mailbox.", discussion: PasswordOptions.discussion)

        @Argument(help: ArgumentHelp(AddressArgument.description))
        var address: AddressArgument

        @OptionGroup var options: PasswordOptions

        @Option(help: "How many bytes it may hold: 500M, 2G; 0 is no limit.")
        var quota: SizeArgument?

        @Option(help: ArgumentHelp("Send its mail on to this address; may be given several times.", valueName: "address"))
        var forward: [TargetArgument] = []

        @Flag(help: "Keep no copy of what is sent on.")
        var noCopy = false

        @Flag(help: "Take over the mail of an earlier mailbox of this name.")
        var adopt = false

        func run() throws {
            let password = try options.read(for: address.address)
            let home = try AccountsHome()
            var user = NewUser(address.address, try password.map(home.kept))
            user.quota = Accounts.Quota(bytes: quota?.bytes ?? 0, messages: 0)
            user.keepsMail = !noCopy
            user.forwards = forward.map(\.target)
            let accounts = try home.open()
            try AccountsHome.told { () throws(AccountFailure) in try accounts.add([user], adopts: adopt) }
            print("added: \(address.address.bytes.text)")
        }
    }

    struct Passwd: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Gives a mailbox a new password.", discussion: PasswordOptions.discussion)

        @Argument(help: "The mailbox.")
        var address: AddressArgument

        @OptionGroup var options: PasswordOptions

        func run() throws {
            let password = try options.read(for: address.address)
            let home = try AccountsHome()
            let kept = try password.map(home.kept)
            let accounts = try home.open()
            try AccountsHome.told { () throws(AccountFailure) in try accounts.setPassword(kept, of: address.address) }
            print("changed: \(address.address.bytes.text)")
        }
    }

    struct Load: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds many mailboxes at once, with passwords that another system has hashed.",
            discussion: "Standard input has a line for each: its address, and behind a blank the hash as crypt(3) makes it. All are added, or none.")

        @Flag(help: "Take over the mail of earlier mailboxes of these names.")
        var adopt = false

        func run() throws {
            var users: [NewUser] = []
            var number = 0
            while let line = readLine() {
                number += 1
                guard !line.isEmpty else { continue }
                let fields = line.utf8.split(separator: ASCII.space).map(Array.init)
                guard fields.count <= 2, let name = fields.first, let address = AccountAddress(name) else {
                    throw Complaint("line \(number) of standard input is no address of a mailbox with a hash: mend it; nothing was added")
                }
                users.append(NewUser(address, fields.count == 2 ? NewPassword(hash: fields[1]) : nil))
            }
            let accounts = try AccountsHome.open()
            try AccountsHome.told { () throws(AccountFailure) in try accounts.add(users, adopts: adopt) }
            print("added: \(Terminal.counted(users.count, "mailbox", plural: "mailboxes"))")
        }
    }

    struct App: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Passwords of a mailbox for single programs, each to be taken back alone.", subcommands: [Add.self, List.self, Remove.self])

        struct Label: ExpressibleByArgument {
            let text: String

            /// A line of the log and of a file holds it.
            init?(argument: String) {
                guard !argument.isEmpty, argument.utf8.count <= 64, argument.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
                text = argument
            }
        }

        struct Add: ParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Makes a password and shows it, once.",
                discussion: "It is good for PLAIN and LOGIN: with SCRAM, CRAM-MD5 and APOP clients use the mailbox's own password.")

            @Argument(help: "The mailbox.")
            var address: AddressArgument

            @Argument(help: "What the password is for: 'phone'.")
            var label: Label

            func run() throws {
                let password = NewPassword.generated()
                let accounts = try AccountsHome.open()
                try AccountsHome.told { () throws(AccountFailure) in
                    try accounts.addApplicationPassword(password, label: label.text, of: address.address)
                }
                print(password.text)
            }
        }

        struct List: ParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Lists the application passwords of a mailbox, without what they are.",
                discussion: "In a pipe one line for each: label, a tab, when it was made in seconds since 1970.")

            @Argument(help: "The mailbox.")
            var address: AddressArgument

            @Flag(help: "One JSON object for each password, on a line of its own.")
            var json = false

            func run() throws {
                let accounts = try AccountsHome.open()
                let passwords = try AccountsHome.told { () throws(AccountFailure) in try accounts.applicationPasswords(of: address.address) }
                var table = AccountTable(["LABEL", "MADE"], isJSON: json)
                for password in passwords {
                    table.add(
                        [password.label, "\(password.created)"], shown: [password.label, MailDate(password.created).dateAndTime],
                        json: [("label", JSON.quoted(password.label)), ("created", "\(password.created)")])
                }
                table.finish()
            }
        }

        struct Remove: ParsableCommand {
            static let configuration = CommandConfiguration(abstract: "Takes an application password back.")

            @Argument(help: "The mailbox.")
            var address: AddressArgument

            @Argument(help: "What the password was for.")
            var label: Label

            func run() throws {
                let accounts = try AccountsHome.open()
                try AccountsHome.told { () throws(AccountFailure) in
                    try accounts.removeApplicationPassword(label: label.text, of: address.address)
                }
                print("removed: \(label.text)")
            }
        }
    }
}
