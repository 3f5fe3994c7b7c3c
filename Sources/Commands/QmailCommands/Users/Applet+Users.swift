// Manuals: whose address is it.
extension Applet {
    static let users: [Applet] = [newu, pw2u, getpw]

    private static let newu = Applet(
        name: "qmail-newu", section: 8, summary: "prepare address assignments for use", synopsis: "",
        description: [
            "Compiles users/assign into users/cdb, which takes effect with the next delivery. If anything fails the old "
                + "users/cdb stays."
        ],
        environment: [home], files: [Entry("users/assign", "What it reads."), Entry("users/cdb", "What it writes.")],
        exitCodes: doneOrTemporary, run: { QmailNewu.run($0) })

    private static let pw2u = Applet(
        name: "qmail-pw2u", section: 8, summary: "build address assignments from a passwd file", synopsis: "[ -/ohHuUC ] [ -cchar ]",
        description: [
            "Reads a passwd file from descriptor 0 and prints address assignments, to be kept as users/assign and compiled by qmail-newu. Every user "
                + "gets his own address and those with an extension; alias gets all that no user controls. root gets none."
        ],
        options: [
            Entry("-o", "Skip users whose home is not there or not theirs. The default."), Entry("-h", "Stop if a home is not there."),
            Entry("-H", "Do not look at homes."), Entry("-u", "Take names with upper case letters."), Entry("-U", "Skip them. The default."),
            Entry("-/", "Extensions are files in the folder .qmail-."), Entry("-c char", "What stands between user and extension; default a hyphen."),
            Entry("-C", "No extensions."),
        ], environment: [home],
        files: [
            Entry("users/include", "Users to take; without this file all."), Entry("users/exclude", "Users to skip."),
            Entry("users/mailnames", "user:name1:name2: the names that a user has mail under."),
            Entry("users/subusers", "sub:user:pre: an address of its own that user controls by .qmail-pre."),
            Entry("users/append", "Assignments to add as they are."),
        ], exitCodes: commonExitCodes, run: { QmailPw2u.run($0) })

    private static let getpw = Applet(
        name: "qmail-getpw", section: 8, summary: "give addresses to users", synopsis: "local",
        description: [
            "Prints who controls the mailbox local by the rules for addresses that users/cdb does not assign: user, uid, gid, home, dash and extension, "
                + "each with a NUL behind it. An account counts if it is not root's and owns its home; what no account controls is alias's."
        ],
        environment: [home],
        exitCodes: [
            Entry("0", "Done."), Entry("100", "Wrong usage."), Entry("115", "A home cannot be looked at now."),
            Entry("116", "There is no account alias."), Entry("118", "The account database does not answer."),
        ], run: { QmailGetpw.run($0) })
}
