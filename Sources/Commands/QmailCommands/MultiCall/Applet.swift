/// One program of the multi-call binary with its manual: the one source of `--help` and the manual page.
package struct Applet: Sendable {
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
    package let description: [String]
    package let options: [Entry]
    package let environment: [Entry]
    package let files: [Entry]
    package let exitCodes: [Entry]
    package let run: @Sendable (Invocation) -> Int32

    package init(
        name: String, section: Int, summary: String, synopsis: String, description: [String], options: [Entry] = [], environment: [Entry] = [],
        files: [Entry] = [], exitCodes: [Entry] = [], run: @escaping @Sendable (Invocation) -> Int32
    ) {
        self.name = name
        self.section = section
        self.summary = summary
        self.synopsis = synopsis
        self.description = description
        self.options = options
        self.environment = environment
        self.files = files
        self.exitCodes = exitCodes
        self.run = run
    }
}
