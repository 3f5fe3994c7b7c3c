import Glibc
import Posix
import QmailCommands
import Testing

@Suite struct ControlSettingTests {
    /// docs/control-files.md, the rows of its tables of files: file, kind, default, who reads it, meaning. A row may be about several files.
    private static func documented() throws -> [String: String] {
        let root = String(#filePath.dropLast("/Tests/CommandsTests/ControlSettingTests.swift".count))
        let text = try #require(try readSmallFile(root + "/docs/control-files.md", maxBytes: 1 << 20)).map { $0 }
        var rows: [String: String] = [:]
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.split(separator: "|").map { $0.drop { $0 == " " } }
            guard cells.count >= 5 else { continue }
            let names = cells[0].split(separator: "`").filter { $0.first?.isLetter ?? false }
            let defaults = cells[2].split(separator: ", ").map { String($0.prefix { $0 != " " }) }
            for (index, name) in names.enumerated() { rows[String(name)] = index < defaults.count ? defaults[index] : defaults[0] }
        }
        return rows
    }

    /// morercpthosts is documented with its compiled form.
    @Test func whatIsDocumentedIsShown() throws {
        let documented = Set(try Self.documented().keys)
        let shown = Set(ControlSetting.all.map(\.name))
        #expect(shown.subtracting(["morercpthosts"]) == documented.subtracting(["morercpthosts"]))
        #expect(shown.count == ControlSetting.all.count)
    }

    @Test func numbersHaveTheDocumentedDefaults() throws {
        let documented = try Self.documented()
        for setting in ControlSetting.all {
            guard let number = UInt64(setting.defaultText), let text = documented[setting.name] else { continue }
            #expect(UInt64(text) == number, "\(setting.name)")
        }
    }
}
