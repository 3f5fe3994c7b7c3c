import Manuals
import QmailCommands
import Testing

@Suite struct ManualTests {
    @Test(arguments: Applet.all.map(\.name))
    func everyAppletIsExplained(_ name: String) throws {
        let applet = try #require(Applet.all.first { $0.name == name })
        let help = applet.manual.help
        #expect(help.hasPrefix("\(name): \(applet.summary)\n\nusage: \(name)"))
        #expect(
            help.split(separator: "\n").filter { !$0.hasPrefix("usage:") }.allSatisfy {
                $0.count <= 78 || !$0.contains(" ") || $0.hasPrefix("  ") && !$0.hasPrefix("      ")
            })
        let page = applet.manual.page
        #expect(page.hasPrefix(".TH \(name.uppercased()) \(applet.section) "))
        #expect(page.split(separator: "\n").allSatisfy { !$0.hasPrefix("'") })
        #expect(Manual.overview(Applet.all).contains("\n  \(name) "))
    }

    @Test func aProgramOfItsOwnAnswersForItself() {
        let manual = ManualPage(name: "a", section: 8, summary: "s", synopsis: "", description: ["d"], exitCodes: [.init("0", "Done.")])
        #expect(manual.answer(to: [Array("--help".utf8)]) == "a: s\n\nusage: a\n\nd\n\nexit status:\n  0\n      Done.\n")
        #expect(manual.answer(to: [Array("--man".utf8)])?.hasPrefix(".TH A 8 ") == true)
        #expect(manual.answer(to: []) == nil)
        #expect(manual.answer(to: ["-s", "--help"].map { Array($0.utf8) }) == nil)
    }

    @Test func namesAreOnlyOnce() { #expect(Set(Applet.all.map(\.name)).count == Applet.all.count) }

    @Test func whatMeansSomethingToTheFormatterIsEscaped() {
        let applet = Applet(name: "a-b", section: 1, summary: "s", synopsis: "[ -x ]", description: [".dot first", "back\\slash"], run: { _ in 0 })
        #expect(applet.manual.page.contains("\n\\&.dot first\n.PP\nback\\eslash\n"))
        #expect(applet.manual.page.contains(".B a\\-b\n[ \\-x ]\n"))
    }
}
