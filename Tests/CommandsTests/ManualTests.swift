import QmailCommands
import Testing

@Suite struct ManualTests {
    @Test(arguments: Applet.all.map(\.name))
    func everyAppletIsExplained(_ name: String) throws {
        let applet = try #require(Applet.all.first { $0.name == name })
        let help = Manual.help(applet)
        #expect(help.hasPrefix("\(name): \(applet.summary)\n\nusage: \(name)"))
        #expect(
            help.split(separator: "\n").filter { !$0.hasPrefix("usage:") }.allSatisfy {
                $0.count <= 78 || !$0.contains(" ") || $0.hasPrefix("  ") && !$0.hasPrefix("      ")
            })
        let page = Manual.page(applet)
        #expect(page.hasPrefix(".TH \(name.uppercased()) \(applet.section) "))
        #expect(page.split(separator: "\n").allSatisfy { !$0.hasPrefix("'") })
        #expect(Manual.overview(Applet.all).contains("\n  \(name) "))
    }

    @Test func namesAreOnlyOnce() { #expect(Set(Applet.all.map(\.name)).count == Applet.all.count) }

    @Test func whatMeansSomethingToTheFormatterIsEscaped() {
        let applet = Applet(name: "a-b", section: 1, summary: "s", synopsis: "[ -x ]", description: [".dot first", "back\\slash"], run: { _ in 0 })
        #expect(Manual.page(applet).contains("\n\\&.dot first\n.PP\nback\\eslash\n"))
        #expect(Manual.page(applet).contains(".B a\\-b\n[ \\-x ]\n"))
    }
}
