private import Glibc
internal import Journal
internal import Posix

/// Keeps free segments ready, on a thread of its own: writing 64 MiB of zeros takes a while.
final class Preparer: Sendable {
    private struct State {
        var wanted = 0
        var isStopped = false
        /// Grows with each attempt, successful or not.
        var attempts = 0
        var hasFailed = false
    }

    private let pool: SegmentPool
    private let state = Monitor(State())

    /// After a failure (a full disk), the next attempt comes so much later.
    private static let pauseMicroseconds: UInt32 = 1_000_000

    init(_ pool: SegmentPool) {
        self.pool = pool
        let state = state
        _ = Thread("prepare") {
            while Preparer.waitForWork(state, pool) {
                var failed = false
                do throws(SystemError) { try pool.prepare() } catch { failed = true }
                let hasFailed = failed
                state.with {
                    $0.attempts += 1
                    $0.hasFailed = hasFailed
                }
                state.wakeAll()
                if hasFailed { usleep(Preparer.pauseMicroseconds) }
            }
        }
    }

    private static func waitForWork(_ state: Monitor<State>, _ pool: SegmentPool) -> Bool {
        state.wait { $0.isStopped ? false : pool.count < $0.wanted ? true : nil }
    }

    /// Goes on until `count` are free.
    func want(_ count: Int) {
        state.with { $0.wanted = count }
        state.wakeAll()
    }

    /// Waits until one more is free, or an attempt has failed. False when there is none.
    func waitForOne(above count: Int) -> Bool {
        let start = state.with { $0.attempts }
        return state.wait { state in
            if self.pool.count > count { return true }
            return state.attempts > start && state.hasFailed || state.isStopped ? false : nil
        }
    }

    func stop() {
        state.with { $0.isStopped = true }
        state.wakeAll()
    }
}
