/// What an import did, or in a dry run would do: counts, and a line for all that a person should know.
package final class ImportReport {
    package struct Finding: Sendable {
        package enum Kind: String, Sendable {
            /// All is well; this was done otherwise than one might think.
            case note
            /// Left out on purpose.
            case skipped
            /// Left out though it should be there.
            case trouble
        }

        package let kind: Kind
        /// A file, or `msg N`.
        package let subject: String
        package let text: String
    }

    package struct Counts: Equatable, Sendable {
        /// Messages.
        package var imported = 0
        package var importedBefore = 0
        package var skipped = 0
        package var damaged = 0
        /// Recipients of imported messages. Those of messages that qmail had not routed are counted apart.
        package var waitingLocal = 0
        package var waitingRemote = 0
        package var unrouted = 0
        package var done = 0
        package var failed = 0
        /// Of imported contents.
        package var bytes = 0
        /// Files of control, users and alias.
        package var copied = 0
        package var same = 0
        package var kept = 0
        package var left = 0

        package init() {}
    }

    package var counts = Counts()
    package private(set) var findings: [Finding] = []
    private let show: (Finding) -> Void
    private let progress: (_ done: Int, _ of: Int) -> Void

    /// - Parameters:
    ///   - show: called with each finding as it comes.
    ///   - progress: called while messages are imported.
    package init(show: @escaping (Finding) -> Void = { _ in }, progress: @escaping (_ done: Int, _ of: Int) -> Void = { _, _ in }) {
        self.show = show
        self.progress = progress
    }

    /// Whether all that was found was taken, or left out on purpose.
    package var isComplete: Bool { !findings.contains { $0.kind == .trouble } }

    func add(_ kind: Finding.Kind, _ subject: String, _ text: String) {
        let finding = Finding(kind: kind, subject: subject, text: text)
        findings.append(finding)
        show(finding)
    }

    func advanced(to done: Int, of total: Int) { progress(done, total) }
}
