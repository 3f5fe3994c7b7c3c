// Manuals: control files.
extension Applet {
    static let control: [Applet] = [showctl, newmrh]

    private static let showctl = Applet(
        name: "qmail-showctl", section: 8, summary: "analyze the configuration files", synopsis: "",
        description: ["Explains every file in control/, and what holds where a file is missing. Files that no program reads are named."],
        environment: [home], files: [Entry("control/", "The folder it looks at.")], exitCodes: doneOrTemporary,
        run: { QmailShowctl.run($0) })

    private static let newmrh = Applet(
        name: "qmail-newmrh", section: 8, summary: "prepare morercpthosts for use", synopsis: "",
        description: ["Compiles control/morercpthosts into control/morercpthosts.cdb."], environment: [home],
        files: [Entry("control/morercpthosts", "What it reads."), Entry("control/morercpthosts.cdb", "What it writes.")],
        exitCodes: doneOrTemporary, run: { QmailNewmrh.run($0) })
}
