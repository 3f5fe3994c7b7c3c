// Manuals: whose address is it.
extension Applet {
    static let users: [Applet] = [newu]

    private static let newu = Applet(
        name: "qmail-newu", section: 8, summary: "prepare address assignments for use", synopsis: "",
        description: [
            "Compiles users/assign into users/cdb, which takes effect with the next delivery. If anything fails the old "
                + "users/cdb stays."
        ],
        environment: [home], files: [Entry("users/assign", "What it reads."), Entry("users/cdb", "What it writes.")],
        exitCodes: doneOrTemporary, run: { QmailNewu.run($0) })
}
