// Manuals: maildirs and mboxes.
extension Applet {
    static let mailboxes: [Applet] = [maildirmake, maildir2mbox, qail, pinq, elq]

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
