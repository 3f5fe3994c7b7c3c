private import Bytes
package import ControlFiles
private import Posix

/// One control file as qmail-showctl tells it (table of spec-qmail §4.5).
package struct ControlSetting: Sendable {
    package enum Kind: Sendable {
        /// `PRE VALUE POST.`
        case number(UInt64)
        /// `PRE VALUE.`; nil = the value of `me`.
        case text(String?)
        /// A line for each entry; what holds without the file.
        case list(whenAbsent: String)
        /// morercpthosts.cdb: whether it fits its source.
        case compiled(source: String)
    }

    package let name: String
    let kind: Kind
    let before: String
    let after: String
    /// For the manual: what the file is for.
    package let meaning: String
    /// Whether qmail has it too: then it is told of even where it is missing, as its own programs tell it.
    let isQmails: Bool

    init(_ name: String, _ kind: Kind, _ before: String = "", _ after: String = "", ours: Bool = false, _ meaning: String) {
        self.name = name
        self.kind = kind
        self.before = before
        self.after = after
        self.meaning = meaning
        isQmails = !ours
    }

    /// What holds without the file, for the manual.
    package var defaultText: String {
        switch kind {
        case .number(let value): String(value)
        case .text(let value): value ?? "me"
        case .list(let absent): absent
        case .compiled: "none"
        }
    }

    /// What is shown of it.
    package func entry(_ control: ControlDirectory, me: [UInt8]?, hasRcpthosts: Bool) -> [UInt8] {
        if name == "morercpthosts", !hasRcpthosts { return ControlSetting.uselessMorercpthosts.entry(control, me: me, hasRcpthosts: true) }
        do throws(SystemError) {
            return switch kind {
            case .number(let value): try number(control, value)
            case .text(let value): try text(control, value.map { Array($0.utf8) } ?? me ?? Array(name.utf8))
            case .list(let absent): try list(control, absent)
            case .compiled(let source): Array("\(name): \(try freshness(control, source))\n".utf8)
            }
        } catch {
            return Array("\(name): Oops! Trouble reading this file.\n".utf8)
        }
    }

    private func number(_ control: ControlDirectory, _ value: UInt64) throws(SystemError) -> [UInt8] {
        let given = try control.integer(name)
        return Array("\(name): \(given == nil ? "(Default.) " : "")\(before)\(given ?? value)\(after).\n".utf8)
    }

    private func text(_ control: ControlDirectory, _ value: [UInt8]) throws(SystemError) -> [UInt8] {
        let given = try control.line(name)
        return "\(name): \(given == nil ? "(Default.) " : "")\(before)".utf8 + ControlSetting.visible(given ?? value) + ".\n".utf8
    }

    private func list(_ control: ControlDirectory, _ absent: String) throws(SystemError) -> [UInt8] {
        guard let entries = try control.list(name) else { return Array("\(name): (Default.) \(absent)\n".utf8) }
        var result = Array("\(name): \n".utf8)
        for entry in entries { result += before.utf8 + ControlSetting.visible(entry) + after.utf8 + [ASCII.lf] }
        return result
    }

    private func freshness(_ control: ControlDirectory, _ source: String) throws(SystemError) -> String {
        switch (FileAge.of(control.file(name)), FileAge.of(control.file(source))) {
        case (nil, nil): "(Default.) No effect."
        case (.some, nil): "Oops! \(name) exists but \(source) doesn't."
        case (nil, .some): "Oops! \(source) exists but \(name) doesn't."
        case (.some(let compiled), .some(let written)):
            compiled < written ? "Oops! \(name) is older than \(source)." : "Modified recently enough; hopefully up to date."
        }
    }

    static func visible(_ bytes: [UInt8]) -> [UInt8] { bytes.map { $0 >= ASCII.space && $0 <= 0x7E ? $0 : ASCII.question } }
}
