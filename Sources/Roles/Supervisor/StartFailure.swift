package import Posix

/// Why `martletd` cannot start, in one line that names the mend.
package struct StartFailure: Error, Equatable {
    package let line: String

    package init(_ problem: String, mend: String) { line = "martletd: \(problem); \(mend)" }

    package init(_ error: SystemError, mend: String) { self.init("\(error)", mend: mend) }
}

/// Runs `body`; a failed call becomes a start failure with that mend.
func orMend<Result: ~Copyable>(_ mend: String, _ body: () throws(SystemError) -> Result) throws(StartFailure) -> Result {
    do { return try body() } catch { throw StartFailure(error, mend: mend) }
}
