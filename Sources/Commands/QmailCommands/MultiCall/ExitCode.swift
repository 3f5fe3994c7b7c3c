/// What every program of qmail says by its exit code (spec-qmail §0).
package enum ExitCode {
    package static let ok: Int32 = 0
    /// The same call would fail again.
    package static let permanent: Int32 = 100
    /// Try again later.
    package static let temporary: Int32 = 111
}
