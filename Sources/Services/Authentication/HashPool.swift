package import Posix

/// Threads that hash passwords, so that a loop never does. As many at a time as there are threads, so many waiting, and no more.
package final class HashPool {
    /// At 30 ms each, a second of two processors holds some 60; who would wait longer than a client does is turned away instead.
    package static let maxWaiting = 256

    private let board = Board()
    private var bodies: [UInt64: (Result) -> Void] = [:]
    private var lastNumber: UInt64 = 0

    package enum Result: Equatable, Sendable {
        case right
        case wrong
        case trouble(String)
    }

    private struct Task: Sendable {
        let number: UInt64
        let work: @Sendable () -> Result
    }

    private final class Board: Sendable {
        let tasks = Monitor<[Task]>([])
        let results = Monitor<[(UInt64, Result)]>([])
        let computed = Monitor<UInt64>(0)

        /// A thread's life: it ends with the process.
        func work(_ wakeup: Wakeup) -> Never {
            while true {
                let task = tasks.wait { $0.isEmpty ? nil : $0.removeFirst() }
                let result = task.work()
                results.with { $0.append((task.number, result)) }
                wakeup.wake()
            }
        }

        /// All of them, whichever is right: the time must not tell which.
        func verify(_ password: [UInt8], _ hashes: [[UInt8]]) -> Result {
            var isRight = false
            for hash in hashes {
                computed.with { $0 += 1 }
                do throws(PasswordHash.Failure) {
                    if try PasswordHash.verify(password, hash) { isRight = true }
                } catch {
                    return .trouble(error.description)
                }
            }
            return isRight ? .right : .wrong
        }
    }

    package init(threads: Int, on loop: EventLoop) throws(SystemError) {
        let relay = Relay()
        let wakeup = try Wakeup(on: loop) { relay.target?.takeResults() }
        relay.target = self
        for number in 0..<max(1, threads) {
            _ = Thread("hash-\(number)") { [board] in board.work(wakeup) }
        }
    }

    /// How many hashes were computed since the start.
    package var computed: UInt64 { board.computed.with { $0 } }

    /// Calls `body` once, later: `.right` when the password has one of the hashes.
    package func verify(_ password: [UInt8], _ hashes: [[UInt8]], _ body: @escaping (Result) -> Void) {
        run({ [board] in board.verify(password, hashes) }, body)
    }

    /// Other work that blocks.
    package func run(_ work: @escaping @Sendable () -> Result, _ body: @escaping (Result) -> Void) {
        guard bodies.count < Self.maxWaiting else { return body(.trouble("too many logins at a time")) }
        lastNumber += 1
        bodies[lastNumber] = body
        let task = Task(number: lastNumber, work: work)
        board.tasks.with { $0.append(task) }
        board.tasks.wakeOne()
    }

    private func takeResults() {
        let done = board.results.with { results in
            defer { results.removeAll(keepingCapacity: true) }
            return results
        }
        for (number, result) in done { bodies.removeValue(forKey: number)?(result) }
    }

    /// Exists before `self` is whole, for the loop's handler.
    private final class Relay { weak var target: HashPool? }
}
