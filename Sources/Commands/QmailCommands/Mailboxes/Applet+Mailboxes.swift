// Manuals: maildirs and mboxes, and POP3, which reads maildirs from afar.
private import Checkpassword

extension Applet {
    static let mailboxes: [Applet] = [maildirmake, maildir2mbox, qail, pinq, elq, popup, pop3d, store, checkpassword]

    private static let maildirmake = Applet(
        name: "maildirmake", section: 1, summary: "make a maildir", synopsis: "name",
        description: ["Creates the folder name with tmp, new and cur in it, for its owner's eyes only. The folder must not exist."],
        exitCodes: commonExitCodes, run: { Maildirmake.run($0) })

    private static let mailboxVariables = [
        Entry("MAILDIR", "The Maildir."), Entry("MAIL", "The mbox."),
        Entry("MAILTMP", "The new mbox while it is written: a name in the same file system."),
    ]

    private static let maildir2mbox = Applet(
        name: "maildir2mbox", section: 1, summary: "move mail from a maildir to an mbox", synopsis: "",
        description: [
            "Appends the messages of a Maildir to an mbox, the oldest first, and removes them from the Maildir when the mbox is safe on disk. Messages of "
                + "this very second wait for the next time."
        ],
        environment: mailboxVariables, exitCodes: doneOrTemporary, run: { Maildir2mbox.run($0) })

    private static let popup = Applet(
        name: "qmail-popup", section: 8, summary: "read a POP username and password", synopsis: "hostname subprogram [ arg ... ]",
        description: [
            "qmail-popup greets a POP3 client on descriptors 0 and 1 and reads its login: USER and PASS, or APOP. Then it runs the subprogram with "
                + "login, password and the greeting's timestamp on descriptor 3, each ended by a NUL. Usually that is checkpassword, which goes on as "
                + "qmail-pop3d: tcpserver 0 110 qmail-popup HOST checkpassword qmail-pop3d Maildir",
            "There is one attempt for each connection. Passwords cross the network as they are: for other than a trusted network put TLS in front.",
        ],
        exitCodes: [Entry("1", "Always.")], run: { QmailPopup.run($0) })

    private static let pop3d = Applet(
        name: "qmail-pop3d", section: 8, summary: "distribute mail via POP", synopsis: "dir",
        description: [
            "qmail-pop3d speaks POP3 after the login, with a client on descriptors 0 and 1, about the messages in the maildir dir. The list of messages "
                + "is what it was at the beginning; messages of that very second wait for the next connection. DELE takes effect with QUIT, which also "
                + "moves the other messages from new to cur.",
            "Sizes are those of the files, where a line end is one byte. Unique-ids are file names without what follows the first colon; a name that "
                + "cannot be one, or is there twice, is replaced by a check of it. A CR that is not part of a line end is sent as a space. It refuses to "
                + "run as root.",
        ],
        exitCodes: [Entry("0", "The session has ended, however."), Entry("1", "It was started as root.")], run: { QmailPop3d.run($0) })

    private static let store = Applet(
        name: "martlet-store", section: 8, summary: "open a mailbox for a client that has logged in, as its user",
        synopsis: "free|confined pop3 maildir",
        description: [
            "The store worker: started by martlet-lspawn under the user's identity, in his home, with the conversation of a client on descriptor 0. It "
                + "speaks POP3 about the Maildir as qmail-pop3d does, with the modern capabilities. confined locks it into the home first. Not for "
                + "people to start."
        ],
        exitCodes: [Entry("0", "The session has ended, however."), Entry("111", "The mailbox could not be opened.")], run: { MartletStore.run($0) })

    private static let checkpassword = Applet(
        name: "checkpassword", section: 8, summary: "check a password and run a program as its account", synopsis: "program [ arg ... ]",
        description: [
            "checkpassword reads a login and a password from descriptor 3, each ended by a NUL, at most \(Credentials.maxBytes) bytes with what follows. "
                + "If the password is that of the account in the system's files, it takes the account's identity, goes to its home, sets USER, HOME and "
                + "SHELL, and becomes the program. It must be started by root to read the passwords and to change its identity.",
            "An account without a password, and root under any name, is refused. Other programs with this interface can stand in its place.",
        ],
        exitCodes: [
            Entry("1", "Login or password is wrong, or the account may not come in."), Entry("2", "It was used wrongly: no program, or no login."),
            Entry("111", "Temporary trouble."),
        ], run: { CheckPassword.run($0) })

    private static let qail = reader("qail", "Mail")
    private static let pinq = reader("pinq", "pine")
    private static let elq = reader("elq", "elm")

    private static func reader(_ name: String, _ program: String) -> Applet {
        Applet(
            name: name, section: 1, summary: "read new mail with \(program)", synopsis: "[ arg ... ]",
            description: ["Moves new mail from a Maildir to an mbox, as maildir2mbox does, and goes on as \(program)."],
            environment: mailboxVariables,
            exitCodes: doneOrTemporary, run: { MailReader.run(program, $0) })
    }
}
