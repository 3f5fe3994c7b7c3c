// Manuals: control files.
extension Applet {
    static let control: [Applet] = [showctl, newmrh, configFast]

    private static let showctl = Applet(
        name: "qmail-showctl", section: 8, summary: "analyze the configuration files", synopsis: "[ -a ]",
        description: [
            "Explains every file in control/, and what holds where one of qmail's files is missing. Files that no program reads are named.",
            "Each file is about one fact. A missing one means the default; me is the name in control/me.",
        ],
        options: [Entry("-a", "Tell what holds without the files that qmail does not have, too.")], environment: [home],
        files: ControlSetting.all.map { Entry("control/\($0.name)", "\($0.meaning) Default: \($0.defaultText)") }, exitCodes: doneOrTemporary,
        run: { QmailShowctl.run($0) })

    private static let newmrh = Applet(
        name: "qmail-newmrh", section: 8, summary: "prepare morercpthosts for use", synopsis: "",
        description: ["Compiles control/morercpthosts into control/morercpthosts.cdb."], environment: [home],
        files: [Entry("control/morercpthosts", "What it reads."), Entry("control/morercpthosts.cdb", "What it writes.")],
        exitCodes: doneOrTemporary, run: { QmailNewmrh.run($0) })

    private static let configFast = Applet(
        name: "config-fast", section: 8, summary: "write the control files of a host by its name", synopsis: ConfigFast.synopsis,
        description: [
            "Writes host, a full name, into control/me, its domain into control/defaultdomain, the last two parts of it into control/plusdomain, and adds it "
                + "to control/locals and control/rcpthosts."
        ],
        environment: [home], files: [Entry("control/", "Where the files are.")], exitCodes: commonExitCodes, run: { ConfigFast.run($0) })
}
