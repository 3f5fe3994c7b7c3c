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
    package var options: [Entry] = []
    package var environment: [Entry] = []
    package var files: [Entry] = []
    package var exitCodes: [Entry] = []
    package let run: @Sendable (Invocation) -> Int32
}
