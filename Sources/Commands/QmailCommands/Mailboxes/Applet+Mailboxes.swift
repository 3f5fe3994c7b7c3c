// Manuals: maildirs and mboxes.
extension Applet {
    static let mailboxes: [Applet] = [maildirmake]

    private static let maildirmake = Applet(
        name: "maildirmake", section: 1, summary: "make a maildir", synopsis: "name",
        description: ["Creates the folder name with tmp, new and cur in it, for its owner's eyes only. The folder must not exist."],
        exitCodes: commonExitCodes, run: { Maildirmake.run($0) })
}
