private import Glibc
internal import Posix

/// Makes names in one directory durable for many threads at once: a call returns after an fsync that began after the call.
/// While one fsync runs, callers gather; the next one covers them all.
final class DirectorySync: Sendable {
    /// One fsync and those who wait for it. Its outcome is touched only inside the monitor.
    private final class Round: @unchecked Sendable {
        var outcome: Int32?
    }

    private struct State {
        /// Has not begun: covers every name made until it does.
        var next = Round()
        var isRunning = false
    }

    private enum Turn {
        case lead
        case done(Int32)
    }

    private let monitor = Monitor(State())

    /// - Parameter directory: an open directory, always the same.
    func sync(_ directory: borrowing FileDescriptor) throws(SystemError) {
        let round = monitor.with { $0.next }
        let turn = monitor.wait { state -> Turn? in
            if let outcome = round.outcome { return .done(outcome) }
            guard !state.isRunning else { return nil }
            state.isRunning = true
            state.next = Round()
            return .lead
        }
        let outcome: Int32
        switch turn {
        case .done(let earlier): outcome = earlier
        case .lead:
            outcome = fsync(directory.raw) == 0 ? 0 : errno
            monitor.with {
                $0.isRunning = false
                round.outcome = outcome
            }
            monitor.wakeAll()
        }
        guard outcome == 0 else { throw SystemError(call: "fsync", subject: "", errno: outcome) }
    }
}
