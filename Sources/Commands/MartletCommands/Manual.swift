internal import ArgumentParser

/// The manual page: the help of every command, in one page for man(1).
enum ManualPage {
    private static let columns = 76

    static var text: String {
        var text = ".TH MARTLET 8 \"\" Martlet\n.SH NAME\nmartlet \\- administers a Martlet mail system\n"
        for command in commands(below: Martlet.self, ["martlet"]) {
            text += ".SH \(command.name.uppercased())\n.nf\n\(escaped(Martlet.helpMessage(for: command.type, columns: columns)))\n.fi\n"
        }
        return text
    }

    private static func commands(below type: any ParsableCommand.Type, _ path: [String]) -> [(name: String, type: any ParsableCommand.Type)] {
        [(path.joined(separator: " "), type)]
            + type.configuration.subcommands.flatMap { commands(below: $0, path + [$0.configuration.commandName ?? "\($0)".lowercased()]) }
    }

    private static func escaped(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let safe = line.replacing("\\", with: "\\e").replacing("-", with: "\\-")
            return line.first == "." || line.first == "'" ? "\\&\(safe)" : String(safe)
        }.joined(separator: "\n")
    }
}
