private import Glibc
package import Journal
private import JournalFormat
package import Posix
package import Storage
private import Synchronization

/// Which part of the mail a process answers for, and since when. The embedded journal has one shard; its epoch is the number of this start.
package struct Lease: Equatable, Sendable {
    package let shard: UInt16
    package let epoch: UInt64
}

/// The queue's memory that survives: entries go in, answers come back on the loop when they are durable. This is the boundary behind which another
/// store could stand; so every call carries its lease, is asynchronous, and is answered by itself.
///
/// The writer's thread gathers what arrives while a sync runs: that is the next batch.
///
/// It must not know recipients or schedules. What holds: one thread writes; an entry is answered once, on the loop; "durable" is said only after
/// the sync that covers it.
package final class JournalStore {
    package enum Answer: Equatable, Sendable {
        /// Durable. For messages: where they are now.
        case durable(Placement?)
        /// Not stored, and it will not come back.
        case refused(Journal.Failure)
        /// Nobody can know before the next start.
        case unknown
        /// Another process answers for the shard now: stop its deliveries.
        case leaseLost
    }

    /// The log as of the last answers.
    package struct LogState: Equatable, Sendable {
        package var oldestSegment: UInt64
        package var newestSegment: UInt64
        package var freeSegments: Int
        package var isDead: Bool
    }

    private struct Inbox {
        var entries: [(token: UInt64, entry: JournalEntry)] = []
        var wantsSync = false
        var isStopped = false
    }

    private struct Outbox {
        var answers: [JournalWriter.Answer] = []
        var log: LogState
        var hasUnsynced = false
        var hasWaiting = false
    }

    package let lease: Lease
    package let parameters: Journal.Parameters
    package let contents: SegmentTable
    package private(set) var log: LogState
    package private(set) var lastID: UInt64

    private let loop: EventLoop
    private let inbox = Monitor(Inbox())
    private let outbox: Monitor<Outbox>
    private let preparer: Preparer
    private var gathered: [(token: UInt64, entry: JournalEntry)] = []
    private var waiting: [UInt64: (Answer) -> Void] = [:]
    private var lastToken: UInt64 = 0
    private var lowestWaiting: UInt64 = 1
    private var syncIsDue = false
    private var wakeup: Wakeup?

    /// Free segments to keep beyond the reserve.
    private static let readySegments = 2
    /// What nobody waits for is synced within this time (design: "Outcomes").
    private static let lazySyncSeconds = 1.0

    /// Recovers the queue below `storage`, which it owns from now on.
    /// - Parameter random: unpredictable bytes, as many as asked for.
    package static func open(
        _ storage: any Storage, _ parameters: Journal.Parameters, on loop: EventLoop, random: @escaping @Sendable () -> [UInt8]
    ) throws(SystemError) -> (store: JournalStore, index: QueueIndex, findings: [RecoveryFinding]) {
        try storage.makeDirectory("journal")
        try storage.syncDirectory("")
        var index = QueueIndex()
        let (journal, findings) = try Journal.recover(storage, parameters: parameters, random: random, into: &index)
        try prepareOne(journal.pool)
        return (try JournalStore(journal, on: loop), index, findings)
    }

    /// A free segment to begin with. On a full disk the queue starts without: new mail is refused and outcomes wait for room, but what is queued is
    /// delivered, which may be what makes room.
    private static func prepareOne(_ pool: SegmentPool) throws(SystemError) {
        guard pool.count == 0 else { return }
        do throws(SystemError) {
            try pool.prepare()
        } catch {
            guard error.errno == ENOSPC || error.errno == EDQUOT else { throw error }
        }
    }

    private init(_ journal: Journal, on loop: EventLoop) throws(SystemError) {
        self.loop = loop
        parameters = journal.parameters
        contents = journal.table
        lastID = journal.lastID
        lease = Lease(shard: 0, epoch: journal.epoch)
        log = JournalStore.state(of: journal, isDead: false)
        outbox = Monitor(Outbox(log: log))
        preparer = Preparer(journal.pool)
        preparer.want(parameters.reservedSegments + Self.readySegments)
        let wakeup = try Wakeup(on: loop) { [weak self] in self?.takeAnswers() }
        self.wakeup = wakeup
        startWriter(Confined(JournalWriter(journal)), wakeup)
    }

    /// Hands the writer to the one thread that uses it from then on.
    private struct Confined: @unchecked Sendable {
        // Sound: only the writer's thread touches it after it has been handed over.
        let writer: JournalWriter
        init(_ writer: JournalWriter) { self.writer = writer }
    }

    private func startWriter(_ confined: Confined, _ wakeup: Wakeup) {
        let (inbox, outbox, preparer) = (inbox, outbox, preparer)
        _ = Thread("journal") {
            let writer = confined.writer
            while let work = JournalStore.next(inbox) {
                var left = work.entries[...]
                repeat {
                    let lot = JournalStore.takeLot(&left, writer.journal)
                    JournalStore.makeRoom(lot, writer.journal, preparer)
                    let answers = writer.commit(lot, sync: work.wantsSync && left.isEmpty)
                    outbox.with { state in
                        state.answers += answers
                        state.log = JournalStore.state(of: writer.journal, isDead: writer.isDead)
                        state.hasUnsynced = writer.hasUnsynced
                        state.hasWaiting = writer.hasWaiting
                    }
                    wakeup.wake()
                    preparer.want(writer.journal.parameters.reservedSegments + JournalStore.readySegments)
                } while !left.isEmpty
            }
            preparer.stop()
        }
    }

    private static func next(_ inbox: Monitor<Inbox>) -> Inbox? {
        inbox.wait { state -> Inbox?? in
            if !state.entries.isEmpty || state.wantsSync {
                defer { state = Inbox(isStopped: state.isStopped) }
                return .some(state)
            }
            return state.isStopped ? .some(nil) : nil
        }
    }

    /// What gathered during a slow sync may be more than the free segments hold: it is taken in lots that need one new segment at most, which
    /// ``makeRoom(_:_:_:)`` can wait for.
    private static func takeLot(
        _ left: inout ArraySlice<(token: UInt64, entry: JournalEntry)>, _ journal: Journal
    ) -> [(token: UInt64, entry: JournalEntry)] {
        let limit = journal.batchCapacity / 2
        var (count, length) = (0, 0)
        for item in left {
            length += item.entry.length
            if count > 0, length > limit { break }
            count += 1
        }
        defer { left = left.dropFirst(count) }
        return Array(left.prefix(count))
    }

    /// New mail may wait for a segment that is being prepared; it is refused when none can be made, at once when that is known already: outcomes
    /// stand behind it.
    private static func makeRoom(_ entries: [(token: UInt64, entry: JournalEntry)], _ journal: Journal, _ preparer: Preparer) {
        guard entries.contains(where: { $0.entry.isNewMail }) else { return }
        let length = entries.reduce(0) { $0 + $1.entry.length }
        guard !journal.hasRoomForMail(min(length, journal.batchCapacity)) else { return }
        preparer.want(journal.parameters.reservedSegments + readySegments)
        _ = preparer.waitForOne(above: journal.parameters.reservedSegments)
    }

    private static func state(of journal: Journal, isDead: Bool) -> LogState {
        LogState(
            oldestSegment: journal.oldestSegment, newestSegment: journal.newestSegment, freeSegments: journal.pool.count, isDead: isDead)
    }

    // MARK: The owner's side

    /// Ids above are never given out.
    package static let maxID: UInt64 = 1 << 62

    /// Ids up to here are taken, by files that the log knows nothing of.
    package func reserveIDs(through id: UInt64) { lastID = max(lastID, min(id, Self.maxID)) }

    /// An id for a new message: 63 bits, the shard in the high ones, never given out again once the message is stored.
    package func takeID() -> UInt64 {
        lastID += 1
        return lastID
    }

    /// Stores one entry; entries are stored in the order they were submitted.
    package func submit(_ entry: JournalEntry, under lease: Lease, _ completion: @escaping (Answer) -> Void) {
        guard lease == self.lease else { return completion(.leaseLost) }
        lastToken += 1
        waiting[lastToken] = completion
        if gathered.isEmpty { loop.atEndOfTurn { [weak self] in self?.handOver() } }
        gathered.append((lastToken, entry))
    }

    /// All entries with tokens up to here are answered.
    package var known: UInt64 {
        while lowestWaiting <= lastToken, waiting[lowestWaiting] == nil { lowestWaiting += 1 }
        return lowestWaiting - 1
    }

    package var hasUnanswered: Bool { !waiting.isEmpty }

    /// Makes everything durable that was submitted, soon.
    package func syncNow() {
        handOver()
        inbox.with { $0.wantsSync = true }
        inbox.wakeOne()
    }

    private func handOver() {
        guard !gathered.isEmpty else { return }
        let entries = gathered
        gathered = []
        inbox.with { $0.entries += entries }
        inbox.wakeOne()
    }

    private func takeAnswers() {
        let (answers, isLazy) = outbox.with { state in
            defer { state.answers = [] }
            log = state.log
            return (state.answers, state.hasUnsynced || state.hasWaiting)
        }
        for (token, result) in answers {
            let answer: Answer =
                switch result {
                case .durable(let placement): .durable(placement)
                case .refused(let failure): .refused(failure)
                case .unknown: .unknown
                }
            waiting.removeValue(forKey: token)?(answer)
        }
        if isLazy { scheduleSync() }
    }

    private func scheduleSync() {
        guard !syncIsDue else { return }
        syncIsDue = true
        loop.after(seconds: Self.lazySyncSeconds) { [weak self] in
            self?.syncIsDue = false
            self?.syncNow()
        }
    }

    deinit {
        inbox.with { $0.isStopped = true }
        inbox.wakeOne()
    }
}
