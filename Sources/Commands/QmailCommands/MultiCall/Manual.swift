/// What the multi-call program says of all its applets.
package enum Manual {
    /// What `qmail --names` prints, for those who install links and pages: a name, the section of its page and the file it is in, a line.
    package static func names(_ applets: [Applet]) -> String { applets.map { "\($0.name) \($0.section) \($0.program)\n" }.joined() }

    /// What `qmail --help` prints.
    package static func overview(_ applets: [Applet]) -> String {
        let width = applets.map(\.name.utf8.count).max() ?? 0
        var text = "qmail: the small programs of Martlet in one\n\n"
        text += "usage: PROGRAM [ arguments ], through a link of that name, or qmail PROGRAM [ arguments ]\n"
        text += "       PROGRAM --help\n       qmail --man PROGRAM\n\n"
        for applet in applets { text += "  \(applet.name)\(String(repeating: " ", count: width - applet.name.utf8.count))  \(applet.summary)\n" }
        return text
    }
}
