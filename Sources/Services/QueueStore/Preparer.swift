private import Glibc
internal import Journal
internal import Posix

/// Keeps free segments ready, on a thread of its own: writing 64 MiB of zeros takes a while.
final class Preparer: Sendable {
    private struct State {
        var wanted = 0
        /// Successful attempts: changed with the lock held, so that no waiter misses one.
        var made = 0
        var isStopped = false
        /// The last attempt failed, and the next is not due.
        var isPausing = false
    }

    private let pool: SegmentPool
    private let state = Monitor(State())

    /// Free space is asked for so often when there was none …
    private static let firstPauseSeconds = 1
    /// … and files whose writing failed are begun again after twice the time, up to this: what they take before they fail, deliveries lack.
    private static let maxPauseSeconds = 60

    init(_ pool: SegmentPool) {
        self.pool = pool
        let state = state
        _ = Thread("prepare") {
            var pause = Preparer.firstPauseSeconds
            while Preparer.waitForWork(state, pool) {
                switch Preparer.attempt(pool) {
                case .done:
                    pause = Preparer.firstPauseSeconds
                    state.with { $0.made += 1 }
                    state.wakeAll()
                case .noSpace: Preparer.sleep(Preparer.firstPauseSeconds, state)
                case .failed:
                    Preparer.sleep(pause, state)
                    pause = min(2 * pause, Preparer.maxPauseSeconds)
                }
            }
        }
    }

    private enum Outcome {
        case done
        case noSpace
        case failed
    }

    private static func attempt(_ pool: SegmentPool) -> Outcome {
        do throws(SystemError) {
            guard try pool.hasSpace() else { return .noSpace }
            try pool.prepare()
            return .done
        } catch {
            return .failed
        }
    }

    private static func sleep(_ seconds: Int, _ state: Monitor<State>) {
        state.with { $0.isPausing = true }
        state.wakeAll()
        for _ in 0..<seconds where !state.with({ $0.isStopped }) { usleep(1_000_000) }
        state.with { $0.isPausing = false }
    }

    private static func waitForWork(_ state: Monitor<State>, _ pool: SegmentPool) -> Bool {
        state.wait { $0.isStopped ? false : pool.count < $0.wanted ? true : nil }
    }

    /// Goes on until `count` are free.
    func want(_ count: Int) {
        let isShort = state.with { state in
            state.wanted = count
            return pool.count < count
        }
        // The thread is left asleep when it has nothing to do: this is said after every sync.
        if isShort { state.wakeAll() }
    }

    /// Waits until more than `count` are free. False when there are not: an attempt has failed, or did so a short while ago. `count` is below what is
    /// wanted.
    func waitForOne(above count: Int) -> Bool {
        state.wait { state in
            if self.pool.count > count { return true }
            return state.isPausing || state.isStopped ? false : nil
        }
    }

    func stop() {
        state.with { $0.isStopped = true }
        state.wakeAll()
    }
}
