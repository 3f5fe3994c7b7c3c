/// Renders an applet's manual.
package enum Manual {
    private static let columns = 78

    /// What `--help` prints.
    package static func help(_ applet: Applet) -> String {
        var text = "\(applet.name): \(applet.summary)\n\nusage: \(applet.name)\(applet.synopsis.isEmpty ? "" : " ")\(applet.synopsis)\n"
        for paragraph in applet.description { text += "\n" + wrapped(paragraph, indent: 0) }
        for (title, entries) in sections(applet) {
            text += "\n\(title.lowercased()):\n"
            for entry in entries { text += "  \(entry.term)\n" + wrapped(entry.text, indent: 6) }
        }
        return text
    }

    /// A manual page for man(1).
    package static func page(_ applet: Applet) -> String {
        var text = ".TH \(applet.name.uppercased()) \(applet.section) \"\" Martlet\n.SH NAME\n"
        text += "\(escaped(applet.name)) \\- \(escaped(applet.summary))\n.SH SYNOPSIS\n.B \(escaped(applet.name))\n"
        if !applet.synopsis.isEmpty { text += "\(escaped(applet.synopsis))\n" }
        text += ".SH DESCRIPTION\n" + applet.description.map { "\(escaped($0))\n" }.joined(separator: ".PP\n")
        for (title, entries) in sections(applet) {
            text += ".SH \(title)\n"
            for entry in entries { text += ".TP\n.B \(escaped(entry.term))\n\(escaped(entry.text))\n" }
        }
        return text
    }

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

    private static func sections(_ applet: Applet) -> [(String, [Applet.Entry])] {
        [("OPTIONS", applet.options), ("ENVIRONMENT", applet.environment), ("FILES", applet.files), ("EXIT STATUS", applet.exitCodes)]
            .filter { !$0.1.isEmpty }
    }

    /// Lines that begin with a dot or quote would be commands; backslashes and hyphens mean something else.
    private static func escaped(_ text: String) -> String {
        var result = text.first == "." || text.first == "'" ? "\\&" : ""
        for character in text {
            switch character {
            case "\\": result += "\\e"
            case "-": result += "\\-"
            default: result.append(character)
            }
        }
        return result
    }

    private static func wrapped(_ text: String, indent: Int) -> String {
        let margin = String(repeating: " ", count: indent)
        var result = ""
        var line = margin
        for word in text.split(separator: " ") {
            if line.count > indent, line.count + word.count + 1 > columns {
                result += line + "\n"
                line = margin
            }
            line += line.count > indent ? " \(word)" : "\(word)"
        }
        return result + line + "\n"
    }
}
