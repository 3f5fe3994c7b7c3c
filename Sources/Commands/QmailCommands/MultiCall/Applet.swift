package import Manuals

/// One program of the multi-call binary with its manual.
package struct Applet: Sendable {
    package typealias Entry = ManualPage.Entry

    package let manual: ManualPage
    package let run: @Sendable (Invocation) -> Int32

    package var name: String { manual.name }
    package var section: Int { manual.section }
    package var summary: String { manual.summary }

    package init(
        name: String, section: Int, summary: String, synopsis: String, description: [String], options: [Entry] = [], environment: [Entry] = [],
        files: [Entry] = [], exitCodes: [Entry] = [], run: @escaping @Sendable (Invocation) -> Int32
    ) {
        manual = ManualPage(
            name: name, section: section, summary: summary, synopsis: synopsis, description: description, options: options,
            environment: environment, files: files, exitCodes: exitCodes)
        self.run = run
    }
}
