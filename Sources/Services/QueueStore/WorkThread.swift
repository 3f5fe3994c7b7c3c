package import Posix
private import Synchronization

/// One plain thread that does blocking work, in the order it was given, and brings the results back to a loop.
package final class WorkThread {
    private struct Job: Sendable {
        let number: UInt64
        let work: @Sendable () -> any Sendable
    }

    private struct Inbox {
        var jobs: [Job] = []
        var isStopped = false
    }

    private final class Outbox: Sendable {
        let results = Mutex<[(number: UInt64, result: any Sendable)]>([])
    }

    private let inbox = Monitor(Inbox())
    private let outbox = Outbox()
    private var waiting: [UInt64: (any Sendable) -> Void] = [:]
    private var lastNumber: UInt64 = 0
    // Set once in `init`, after `self` is whole.
    private var wakeup: Wakeup?

    package init(_ name: String, on loop: EventLoop) throws(SystemError) {
        let wakeup = try Wakeup(on: loop) { [weak self] in self?.takeResults() }
        self.wakeup = wakeup
        let (inbox, outbox) = (inbox, outbox)
        _ = Thread(name) {
            while var jobs = WorkThread.takeAll(inbox) {
                // What a job holds on to goes with it, not with the last of its lot.
                while let job = jobs.popLast() {
                    let result = job.work()
                    outbox.results.withLock { $0.append((job.number, result)) }
                    wakeup.wake()
                }
            }
        }
    }

    /// All that came meanwhile, the next one last; nil when there will be no more.
    private static func takeAll(_ inbox: Monitor<Inbox>) -> [Job]? {
        let taken = inbox.wait { state -> [Job]? in
            guard !state.jobs.isEmpty || state.isStopped else { return nil }
            defer { state.jobs = [] }
            return state.jobs
        }
        return taken.isEmpty ? nil : taken.reversed()
    }

    /// Runs `work` on the thread, then `then` with its result on the loop.
    package func run<Result: Sendable>(_ work: @escaping @Sendable () -> Result, then: @escaping (Result) -> Void) {
        lastNumber += 1
        waiting[lastNumber] = { if let result = $0 as? Result { then(result) } }
        let job = Job(number: lastNumber, work: work)
        inbox.with { $0.jobs.append(job) }
        inbox.wakeOne()
    }

    private func takeResults() {
        let results = outbox.results.withLock { results in
            defer { results = [] }
            return results
        }
        for (number, result) in results { waiting.removeValue(forKey: number)?(result) }
    }

    deinit {
        inbox.with { $0.isStopped = true }
        inbox.wakeOne()
    }
}
