internal import Posix
private import Synchronization

/// Outcomes on their way from the event loop to the plain thread, which is woken once for many.
final class Outbox: Sendable {
    private let waiting = Mutex<[Errand.Outcome]>([])
    private let wakeup: Wakeup

    /// - Parameter take: called on the loop's thread with all that has gathered.
    init(on loop: EventLoop, _ take: @escaping ([Errand.Outcome]) -> Void) throws(SystemError) {
        let box = Box()
        wakeup = try Wakeup(on: loop) { if let outbox = box.outbox { take(outbox.removeAll()) } }
        box.outbox = self
    }

    private final class Box { weak var outbox: Outbox? }

    func post(_ outcome: Errand.Outcome) {
        let wasEmpty = waiting.withLock { waiting in
            waiting.append(outcome)
            return waiting.count == 1
        }
        if wasEmpty { wakeup.wake() }
    }

    private func removeAll() -> [Errand.Outcome] {
        waiting.withLock { waiting in
            let all = waiting
            waiting = []
            return all
        }
    }
}
