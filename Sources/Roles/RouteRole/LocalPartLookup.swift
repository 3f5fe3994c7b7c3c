private import ControlFiles
internal import Posix
internal import Routing

/// Look-ups of local parts on threads of their own, because getpwnam may wait for a directory server. Answers come back on the loop.
///
/// What was found is kept for a moment, and forgotten when `users/cdb` changes; questions about one local part that come together are looked up once.
final class LocalPartLookup {
    /// How long an account that was found counts without being looked up again, in nanoseconds.
    static let memory: UInt64 = 1_000_000_000
    /// Beyond this number all that is remembered is dropped.
    static let maxRemembered = 10_000
    static let threadCount = 4

    private struct Remembered {
        let finding: LocalUserDirectory.Finding
        let until: UInt64
    }

    private let board = LookupBoard()
    private var remembered: [[UInt8]: Remembered] = [:]
    private var waiting: [[UInt8]: [(LookupBoard.Outcome) -> Void]] = [:]
    private var databaseState = FileState.of(LocalUserDirectory.databasePath)

    init(_ source: any AccountSource, on loop: EventLoop) throws(SystemError) {
        let relay = Relay()
        let wakeup = try Wakeup(on: loop) { relay.target?.takeAnswers() }
        relay.target = self
        for number in 0..<Self.threadCount {
            _ = Thread("route-\(number)") { [board] in board.work(LocalUserDirectory(source), wakeup) }
        }
    }

    /// Calls `body` once; at once when the answer is remembered.
    func find(_ localPart: ArraySlice<UInt8>, _ body: @escaping (LookupBoard.Outcome) -> Void) {
        forgetWhenChanged()
        let key = Array(localPart)
        if let known = remembered[key], known.until > monotonicNanoseconds() { return body(.success(known.finding)) }
        waiting[key, default: []].append(body)
        if waiting[key]?.count == 1 { board.ask(key) }
    }

    private func forgetWhenChanged() {
        let now = FileState.of(LocalUserDirectory.databasePath)
        guard now != databaseState else { return }
        databaseState = now
        remembered.removeAll()
    }

    private func takeAnswers() {
        for (key, outcome) in board.takeAnswers() {
            if case .success(let finding) = outcome {
                if remembered.count >= Self.maxRemembered { remembered.removeAll() }
                remembered[key] = Remembered(finding: finding, until: monotonicNanoseconds() &+ Self.memory)
            }
            for body in waiting.removeValue(forKey: key) ?? [] { body(outcome) }
        }
    }

    /// Exists before `self` is whole, for the loop's handler.
    private final class Relay { weak var target: LocalPartLookup? }
}
