internal import Addresses
private import Glibc
internal import NIOCore
private import Posix
internal import Reception
private import SMTPReception
internal import SMTPServer

/// Runs the programs of RCPTCHECK beside the loop, not too many at once and none for ever.
final class RecipientChecks {
    private struct Run {
        let pid: Int32
        let remoteIP: [UInt8]
        let due: UInt64
        let isAbandoned: () -> Bool
        let done: (Session.CheckOutcome) -> Void
    }

    private let loop: any NIOCore.EventLoop
    private var runs: [Run] = []
    private var isWatching = false

    private static let maxRuns = 50
    private static let maxRunsOfOneClient = 25
    private static let patience: UInt64 = 30_000_000_000
    /// Their ends are looked for so often while there are any.
    private static let checkEvery = TimeAmount.milliseconds(5)

    init(on loop: any NIOCore.EventLoop) { self.loop = loop }

    /// Calls `done` once, later.
    /// - Parameter isAbandoned: the client has gone, and the program is to be ended.
    func run(
        _ client: Client, sender: Address, recipient: Address, helo: [UInt8], isAbandoned: @escaping () -> Bool,
        done: @escaping (Session.CheckOutcome) -> Void
    ) {
        let ofClient = runs.count { $0.remoteIP == client.remoteIP }
        guard runs.count < Self.maxRuns, ofClient < Self.maxRunsOfOneClient else { return end(.undecided, done) }
        guard let program = RecipientCheck.program(client, sender: sender, recipient: recipient, helo: helo) else { return end(.accepted, done) }
        do throws(SystemError) {
            let nothing = try FileDescriptor.open("/dev/null", O_RDONLY)
            // What it says is for the log.
            let pid = try program.start([nothing.raw, STDERR_FILENO, STDERR_FILENO])
            let due = monotonicNanoseconds() &+ Self.patience
            runs.append(Run(pid: pid, remoteIP: client.remoteIP, due: due, isAbandoned: isAbandoned, done: done))
            watch()
        } catch {
            log("smtpd: warning: RCPTCHECK: \(logsafe(client.recipientCheck ?? [])): \(error.reason)")
            end(.notRun, done)
        }
    }

    /// Nobody waits for an answer any more.
    func stop() {
        for run in runs { ChildProgram.signal(SIGKILL, group: run.pid) }
    }

    private func end(_ outcome: Session.CheckOutcome, _ done: @escaping (Session.CheckOutcome) -> Void) {
        loop.assumeIsolated().execute { done(outcome) }
    }

    private func watch() {
        guard !isWatching else { return }
        isWatching = true
        loop.every(Self.checkEvery) { [weak self] in
            guard let self else { return false }
            check()
            isWatching = !runs.isEmpty
            return isWatching
        }
    }

    private func check() {
        let now = monotonicNanoseconds()
        let ended = runs.filter { ChildProgram.hasEnded($0.pid) || $0.due <= now || $0.isAbandoned() }
        guard !ended.isEmpty else { return }
        runs.removeAll { run in ended.contains { $0.pid == run.pid } }
        for run in ended {
            let isLate = !ChildProgram.hasEnded(run.pid)
            // It may have left others behind. Its number is its own until it is waited for.
            ChildProgram.signal(SIGKILL, group: run.pid)
            let end = try? ChildEnd(of: run.pid)
            run.done(isLate ? .undecided : end.map(RecipientCheck.outcome) ?? .notRun)
        }
    }
}
