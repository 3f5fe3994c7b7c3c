private import Boundaries
private import ControlFiles
private import Glibc
private import Journal
private import Posix
private import QueueStore
package import RoleContext
private import Routing
private import Storage

/// Role queue: keeps accepted mail safe and sees to it that each recipient ends: delivered, or bounced. It alone touches `queue/`; of a message it looks
/// at nothing but its size, and for a bounce at the end of its header.
///
/// It must not know homes, hosts or the network: who delivers is told an address and handed one message. What holds: a client hears "accepted" only
/// after the sync; every recipient ends once; a delivery process that dies has deferred what it was given; a log that cannot be written ends the process.
package enum QueueRole {
    /// Deliveries under way at SIGTERM have this long to report; what has not is delivered again after the next start.
    static let stopSeconds = 12.0

    /// - Returns: 0 after SIGTERM, 1 when its control files are wrong, 111 when the queue cannot be opened or written.
    package static func run(_ context: RoleContext) -> Int32 {
        let process: QueueProcess
        do {
            process = try QueueProcess(context)
        } catch let error as ControlFileError {
            log("queue: fatal: \(error)")
            return 1
        } catch {
            log("queue: fatal: \(error)")
            return 111
        }
        return process.run()
    }
}

/// The queue role's process: its loop, its doors and its signals.
private final class QueueProcess {
    private let loop: EventLoop
    private let lines: QueueLog
    private let lock: QueueLock
    private let queue: QueueManager
    private let dispatcher: Dispatcher
    private let inject: InjectDoor
    private let admin: AdminDoor
    private var listeners: [Listener] = []
    private var exitCode: Int32?
    private var stopDeadline: UInt64 = 0
    private var hasClosedLog = false
    private var isStopping = false

    init(_ context: RoleContext) throws {
        let loop = try EventLoop()
        let signals = SignalHandler()
        // Blocked before any thread is made, so that threads inherit it, and before files are read that HUP says have changed.
        try loop.onSignals([SIGTERM, SIGINT, SIGHUP, SIGALRM]) { signals.body($0) }
        let control = ControlDirectory()
        let settings = try QueueSettings(control)
        let rewriting = try AddressRewriting(control)
        let accountDomains = try Watched([AddressRewriting.accountsFile]) {
            try AddressRewriting.loadAccountDomains()
        } complain: {
            log("queue: \($0); the old value stays")
        }
        lock = try QueueProcess.takeLock()
        let disk = Disk("queue")
        guard try !UnfinishedImport.isThere(disk) else {
            throw ControlFileError(file: "queue/\(UnfinishedImport.plan)", line: 0, problem: UnfinishedImport.problem)
        }
        let (store, index, findings) = try JournalStore.open(disk, settings.log, on: loop) { randomBytes(16) }
        for finding in findings { log("\(finding)") }
        let files = try ContentFiles(disk, root: "queue", store.contents, on: loop)
        store.reserveIDs(through: files.largestID)
        // With acknowledged bytes damaged, a file that nobody refers to may be what is left of a message.
        if !findings.contains(where: \.isCorruption) { _ = try files.removeOrphans { index[$0] != nil } }
        lines = QueueLog(loop)
        let failure = SignalHandler()
        queue = QueueManager(
            loop: loop, lines: lines, settings: settings, rewriting: rewriting, accountDomains: accountDomains,
            invokers: Invokers(context.accounts, own: getuid()), store: store, files: files, index: index,
            bounceThread: try WorkThread("bounce", on: loop),
            fail: { why in
                log("queue: alert: \(why)")
                failure.body(111)
            })
        dispatcher = Dispatcher(queue)
        queue.dispatcher = dispatcher
        inject = InjectDoor(on: loop, queue, files, trustedNetworkUID: context.accounts["qmaild"].uid)
        admin = AdminDoor(on: loop, queue) { [lines, queue] in QueueProcess.reread(lines, queue) }
        self.loop = loop
        signals.body = { [weak self] in self?.signalled($0) }
        failure.body = { [weak self] in self?.stopNow($0) }
        try open(context)
    }

    private final class SignalHandler { var body: (Int32) -> Void = { _ in } }

    private static func takeLock() throws -> QueueLock {
        do throws(SystemError) { return try QueueLock() } catch {
            guard error.errno == EWOULDBLOCK else { throw error }
            throw ControlFileError(
                file: QueueLock.path, line: 0,
                problem: "another queue is running on this home; end it first (cannot start: qmail-send is already running)")
        }
    }

    private func open(_ context: RoleContext) throws {
        let doors = dispatcher.open()
        try listen("inject", context) { [inject] in inject.accept($0) }
        try listen("deliver-local", context) { doors.local.accept($0) }
        try listen("deliver-remote", context) { doors.remote.accept($0) }
        try listen("admin", context) { [admin] in admin.accept($0) }
    }

    private func listen(_ name: String, _ context: RoleContext, _ accept: @escaping (consuming FileDescriptor) -> Void) throws(SystemError) {
        guard let socket = context.socket(name) else { throw SystemError(call: "socket", subject: name, errno: ENOTCONN) }
        listeners.append(try Listener(FileDescriptor(owning: socket), on: loop, accept))
    }

    func run() -> Int32 {
        dispatcher.logStatus()
        queue.resume()
        loop.run()
        lines.flush()
        return exitCode ?? 0
    }

    // MARK: Signals

    private func signalled(_ signal: Int32) {
        switch signal {
        case SIGALRM: dispatcher.retryAllNow()
        case SIGHUP: _ = QueueProcess.reread(lines, queue)
        default: stop()
        }
    }

    /// - Returns: what is wrong with the files; the old ones then count.
    private static func reread(_ lines: QueueLog, _ queue: QueueManager) -> String? {
        do {
            queue.rewriting = try AddressRewriting(ControlDirectory())
            return nil
        } catch {
            let file = error.file
            lines.line("alert: unable to reread \(file)")
            log("queue: \(error)")
            return "\(error)"
        }
    }

    /// No new mail, no new deliveries; those under way may report.
    private func stop() {
        guard !isStopping else { return }
        isStopping = true
        for listener in listeners { listener.close() }
        dispatcher.stop()
        queue.stopCleaning()
        stopDeadline = monotonicNanoseconds() + UInt64(QueueRole.stopSeconds * 1e9)
        lookWhetherDone()
    }

    /// Deliveries have their time to end; what they reported has a second more to become durable.
    private func lookWhetherDone() {
        guard exitCode == nil else { return }
        let late = monotonicNanoseconds() > stopDeadline
        if late || dispatcher.isIdle && inject.isIdle {
            dispatcher.storeOutcomes()
            if !hasClosedLog {
                hasClosedLog = true
                queue.closeLog()
            }
            if !queue.store.hasUnanswered || monotonicNanoseconds() > stopDeadline + 1_000_000_000 { return stopNow(0) }
        }
        loop.after(seconds: 0.01) { [weak self] in self?.lookWhetherDone() }
    }

    private func stopNow(_ code: Int32) {
        guard exitCode == nil else { return }
        exitCode = code
        if code == 0 { lines.line("status: exiting") }
        loop.stop()
    }
}
