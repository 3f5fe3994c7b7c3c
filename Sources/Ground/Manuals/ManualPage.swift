/// The manual of a program: the one source of its `--help` and its manual page.
///
/// Module `Manuals` lays texts out, and knows no program.
package struct ManualPage: Sendable {
    package struct Entry: Sendable {
        /// An option, a variable, a file or an exit code.
        package let term: String
        package let text: String
        package init(_ term: String, _ text: String) {
            self.term = term
            self.text = text
        }
    }

    package let name: String
    /// 1 for users, 8 for administrators.
    package let section: Int
    /// What it is, in one line without full stop.
    package let summary: String
    /// Arguments as they are written after the name.
    package let synopsis: String
    /// Paragraphs.
    private let description: [String]
    private let sections: [(title: String, entries: [Entry])]

    package init(
        name: String, section: Int, summary: String, synopsis: String, description: [String], options: [Entry] = [], environment: [Entry] = [],
        files: [Entry] = [], exitCodes: [Entry] = []
    ) {
        self.name = name
        self.section = section
        self.summary = summary
        self.synopsis = synopsis
        self.description = description
        sections = [("OPTIONS", options), ("ENVIRONMENT", environment), ("FILES", files), ("EXIT STATUS", exitCodes)].filter { !$0.1.isEmpty }
    }

    private static let columns = 78

    /// What `--help` prints.
    package var help: String {
        var text = "\(name): \(summary)\n\nusage: \(name)\(synopsis.isEmpty ? "" : " ")\(synopsis)\n"
        for paragraph in description { text += "\n" + Self.wrapped(paragraph, indent: 0) }
        for (title, entries) in sections {
            text += "\n\(title.lowercased()):\n"
            for entry in entries { text += "  \(entry.term)\n" + Self.wrapped(entry.text, indent: 6) }
        }
        return text
    }

    /// For man(1).
    package var page: String {
        var text = ".TH \(name.uppercased()) \(section) \"\" Martlet\n.SH NAME\n"
        text += "\(Self.escaped(name)) \\- \(Self.escaped(summary))\n.SH SYNOPSIS\n.B \(Self.escaped(name))\n"
        if !synopsis.isEmpty { text += "\(Self.escaped(synopsis))\n" }
        text += ".SH DESCRIPTION\n" + description.map { "\(Self.escaped($0))\n" }.joined(separator: ".PP\n")
        for (title, entries) in sections {
            text += ".SH \(title)\n"
            for entry in entries { text += ".TP\n.B \(Self.escaped(entry.term))\n\(Self.escaped(entry.text))\n" }
        }
        return text
    }

    /// What a program prints that is asked for nothing but its `--help`, or its page by `--man`.
    /// - Parameter arguments: without the program's name.
    package func answer(to arguments: some Collection<[UInt8]>) -> String? {
        guard arguments.count == 1, let argument = arguments.first else { return nil }
        if argument.elementsEqual("--help".utf8) { return help }
        return argument.elementsEqual("--man".utf8) ? page : nil
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
