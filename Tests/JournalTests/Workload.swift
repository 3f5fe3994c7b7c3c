import Addresses
import Bytes
import Journal
import JournalFormat
import SimulatedDisk
import Storage

/// A queue without processes: random mail, outcomes, bounces and cleaning on a journal, beside a ledger that knows only what was promised.
struct Workload {
    /// What the outside was told about a message.
    struct Promise {
        let content: [UInt8]
        /// nil: no answer yet. A refused message is forgotten, and noted in ``refused``.
        var isAccepted = false
        /// States of recipients whose record is known to be durable.
        var durable: [UInt32: PackedRecipients.State] = [:]
        /// States told to the journal, in order.
        var told: [UInt32: [PackedRecipients.State]] = [:]
        /// Whether it is held, as was told last, and how many such records are not answered.
        var isHeld = false
        var holdsUnderWay = 0
        /// Offsets of recipients that came by rerouting and are known to be durable.
        var routes: Set<UInt32> = []
        /// The message was told to end, with this bounce (0: none).
        var finish: UInt64?
    }

    var random: SplitMix
    let disk: SimulatedDisk
    var writer: JournalWriter
    var index: QueueIndex
    var cleaner: Cleaner
    var promises: [UInt64: Promise] = [:]
    /// Accepted and not yet told to end.
    private var open: [UInt64] = []
    /// Ended for certain.
    private var ended: Set<UInt64> = []
    var refused: Set<UInt64> = []
    var findings: [RecoveryFinding] = []
    private var lastToken: UInt64 = 0
    private var lastID: UInt64 = 0
    private var onAnswer: [UInt64: (inout Workload, EntryResult) -> Void] = [:]
    private var cleaning = 0
    var mostSegments = 0

    let parameters: Journal.Parameters

    init(_ disk: SimulatedDisk, seed: UInt64, segmentSize: Int = 64 << 10) throws {
        random = SplitMix(seed)
        self.disk = disk
        var parameters = Journal.Parameters()
        parameters.segmentSize = segmentSize
        self.parameters = parameters
        (writer, index, cleaner, findings) = try Workload.start(disk, seed, parameters)
    }

    static func start(_ disk: SimulatedDisk, _ seed: UInt64, _ parameters: Journal.Parameters) throws -> (
        JournalWriter, QueueIndex, Cleaner, [RecoveryFinding]
    ) {
        var index = QueueIndex()
        // The salts need no secrecy here, but every start needs new ones.
        var salts = SplitMix(seed &* 31 &+ UInt64(disk.calls))
        let (journal, findings) = try Journal.recover(disk, parameters: parameters, random: { salts.bytes(16) }, into: &index)
        while journal.pool.count < parameters.reservedSegments + 2 { try journal.pool.prepare() }
        return (JournalWriter(journal), index, Cleaner(index), findings)
    }

    // MARK: Steps

    mutating func run(steps: Int) {
        for _ in 0..<steps where !writer.isDead && !disk.isDown {
            var entries: [(UInt64, JournalEntry)] = []
            for _ in 0..<Int.random(in: 1...4, using: &random) { addSomething(&entries) }
            clean(&entries)
            commit(entries)
            // The preparer's thread.
            if writer.journal.pool.count < parameters.reservedSegments + 1 { try? writer.journal.pool.prepare() }
        }
    }

    /// Cleaning alone, until nothing is due.
    mutating func finishCleaning() {
        for _ in 0..<10_000 {
            var entries: [(UInt64, JournalEntry)] = []
            clean(&entries)
            guard !entries.isEmpty else { return }
            let before = (writer.journal.oldestSegment, writer.journal.segmentsInUse)
            commit(entries, sync: true)
            if case .release = entries[0].1, before == (writer.journal.oldestSegment, writer.journal.segmentsInUse) { return }
        }
    }

    /// As at SIGTERM.
    mutating func stopOrderly() {
        var entries: [(UInt64, JournalEntry)] = []
        entries.append((token { _, _ in }, .stop))
        commit(entries, sync: true)
    }

    private mutating func commit(_ entries: [(token: UInt64, entry: JournalEntry)], sync: Bool? = nil) {
        let answers = writer.commit(entries, sync: sync ?? random.chance(1, in: 3))
        // After power went, what the program believes reaches nobody.
        guard !disk.isDown else { return }
        for answer in answers { onAnswer.removeValue(forKey: answer.token)?(&self, answer.result) }
        mostSegments = max(mostSegments, writer.journal.segmentsInUse)
    }

    private mutating func addSomething(_ entries: inout [(UInt64, JournalEntry)]) {
        guard let id = open.randomElement(using: &random), random.chance(3, in: 5) else { return accept(&entries) }
        guard let message = index[id] else { return }
        if message.record.recipients.isFinished { return finish(id, &entries) }
        switch Int.random(in: 0..<8, using: &random) {
        case 0: hold(message, &entries)
        case 1 where message.record.recipients.count < 12: reroute(message, &entries)
        default: outcome(message, &entries)
        }
    }

    private mutating func token(_ body: @escaping (inout Workload, EntryResult) -> Void) -> UInt64 {
        lastToken += 1
        onAnswer[lastToken] = body
        return lastToken
    }

    private mutating func newMessage() -> (MessageRecord, [UInt8]) {
        var recipients: [(address: [UInt8], channel: Channel)] = []
        for number in 0..<Int.random(in: 1...4, using: &random) {
            recipients.append((Array("user\(number)@host\(number % 2).example".utf8), random.chance(1, in: 2) ? .local : .remote))
        }
        let size = random.chance(1, in: 10) ? Int.random(in: 0...20_000, using: &random) : Int.random(in: 0...3000, using: &random)
        let content = random.bytes(size)
        lastID += 1
        let record = MessageRecord(
            id: lastID, birth: 1000, qp: 7, uid: 1, sender: Array("sender@example".utf8),
            recipients: PackedRecipients(grouping: recipients), nextLocal: 0, nextRemote: 0, failures: FailureTexts(),
            content: .inline(segment: 0, offset: 0, length: UInt32(content.count), check: 0))
        return (record, content)
    }

    private mutating func accept(_ entries: inout [(UInt64, JournalEntry)]) {
        let (record, content) = newMessage()
        promises[record.id] = Promise(content: content)
        let token = token { work, result in
            switch result {
            case .durable(let placement?):
                work.promises[record.id]?.isAccepted = true
                work.enter(record, placement)
            case .refused:
                work.promises[record.id] = nil
                work.refused.insert(record.id)
            default: break
            }
        }
        entries.append((token, .accept(record, content: content)))
    }

    private mutating func enter(_ record: MessageRecord, _ placement: Placement) {
        var record = record
        record.content = placement.content
        index.apply(.accept(record), segment: placement.segment)
        cleaner.placed(record.id, in: placement.segment)
        open.append(record.id)
    }

    private mutating func outcome(_ message: QueuedMessage, _ entries: inout [(UInt64, JournalEntry)]) {
        guard let recipient = openRecipient(of: message) else { return }
        let states: [PackedRecipients.State] = [.delivered, .failed, .removed, .expiring, .removing]
        guard let state = states.randomElement(using: &random), state != recipient.state else { return }
        // What is to be removed is not expired instead.
        if recipient.state == .removing, state == .expiring { return }
        let record = JournalRecord.outcome(
            id: message.id, recipient: recipient.offset, state, text: state == .failed ? Array("no such user".utf8)[...] : [])
        let id = message.id
        index.apply(record)
        promises[id]?.told[recipient.offset, default: []].append(state)
        let token = token { work, result in if case .durable = result { work.promises[id]?.durable[recipient.offset] = state } }
        entries.append((token, .records([record])))
    }

    private func openRecipient(of message: QueuedMessage) -> PackedRecipients.Recipient? {
        var found: PackedRecipients.Recipient?
        message.record.recipients.visit { if found == nil, $0.state.isOpen { found = $0 } }
        return found
    }

    /// What an administrator does: when it is answered it stays.
    private mutating func hold(_ message: QueuedMessage, _ entries: inout [(UInt64, JournalEntry)]) {
        let id = message.id
        let isHeld = !message.record.isHeld
        let record: JournalRecord = isHeld ? .hold(id: id) : .release(id: id)
        index.apply(record)
        promises[id]?.isHeld = isHeld
        promises[id]?.holdsUnderWay += 1
        let token = token { work, result in if case .durable = result { work.promises[id]?.holdsUnderWay -= 1 } }
        entries.append((token, .records([record])))
    }

    private mutating func reroute(_ message: QueuedMessage, _ entries: inout [(UInt64, JournalEntry)]) {
        guard let recipient = openRecipient(of: message), recipient.state == .pending else { return }
        let id = message.id
        let (old, new) = (recipient.offset, UInt32(message.record.recipients.bytes.count))
        let route: PackedRecipients.Route =
            random.chance(1, in: 2)
            ? .init(local: Array("joe-".utf8) + recipient.address, prepended: 4)
            : .init(remote: Array(recipient.address), relay: Array("relay:25".utf8))
        let record = JournalRecord.reroute(id: id, recipient: old, route)
        index.apply(record)
        promises[id]?.told[old, default: []].append(.rerouted)
        let token = token { work, result in
            guard case .durable = result else { return }
            work.promises[id]?.durable[old] = .rerouted
            work.promises[id]?.routes.insert(new)
        }
        entries.append((token, .records([record])))
    }

    private mutating func finish(_ id: UInt64, _ entries: inout [(UInt64, JournalEntry)]) {
        let hasFailures = index[id]?.record.failures.isEmpty == false
        let bounce = hasFailures ? newMessage() : nil
        let bounceID = bounce?.0.id ?? 0
        promises[id]?.finish = bounceID
        open.removeAll { $0 == id }
        if let bounce { promises[bounceID] = Promise(content: bounce.1) }
        index[id]?.isEnding = true
        let token = token { work, result in
            guard case .durable(let placement) = result else { return }
            work.promises[id] = nil
            work.ended.insert(id)
            work.index.apply(.finish(id: id, bounce: bounceID))
            if let bounce, let placement {
                work.promises[bounceID]?.isAccepted = true
                work.enter(bounce.0, placement)
            }
        }
        entries.append((token, .finish(id: id, bounce: bounce?.0, bounceContent: bounce?.1 ?? [])))
    }

    private mutating func clean(_ entries: inout [(UInt64, JournalEntry)]) {
        guard cleaning == 0 else { return }
        let journal = writer.journal
        let known = onAnswer.keys.min().map { $0 - 1 } ?? lastToken
        let log = Cleaner.Log(
            oldestSegment: journal.oldestSegment, newestSegment: journal.newestSegment, segmentSize: parameters.segmentSize, known: known,
            isShort: journal.pool.count <= parameters.reservedSegments)
        for entry in cleaner.step(index, log) {
            cleaning += 1
            let token = token { work, result in
                work.cleaning -= 1
                guard case .durable(let placement) = result else { return work.cleaner.retry() }
                if case .carry(let record) = entry, let placement {
                    work.index.moved(record.id, to: placement)
                    work.cleaner.placed(record.id, in: placement.segment)
                } else if case .release(let segment, _) = entry, work.writer.journal.oldestSegment > segment {
                    work.cleaner.released(segment)
                }
            }
            entries.append((token, entry))
        }
    }

    // MARK: The ledger

    /// The start after a crash.
    mutating func restart() throws {
        onAnswer = [:]
        cleaning = 0
        (writer, index, cleaner, findings) = try Workload.start(disk, random.next(), parameters)
        for id in refused where id > writer.journal.lastID { refused.remove(id) }
        lastID = writer.journal.lastID
    }

    /// What is wrong, in words; empty when every promise was kept.
    ///
    /// - Parameter afterCrash: nothing is under way any more: a message that was told to end has ended with its bounce, or neither.
    func brokenPromises(afterCrash: Bool = true) -> [String] {
        var broken: [String] = []
        for (id, promise) in promises { broken += problems(id, promise, afterCrash) }
        for id in ended where index[id] != nil { broken.append("message \(id) ended and came back") }
        for id in refused where index[id] != nil { broken.append("message \(id) was refused and came back") }
        for finding in findings {
            if case .unsyncedTail = finding { continue }
            broken.append("recovery of an undamaged disk says: \(finding)")
        }
        return broken
    }

    private func problems(_ id: UInt64, _ promise: Promise, _ afterCrash: Bool) -> [String] {
        let message = index[id]
        if let bounce = promise.finish {
            guard afterCrash else { return [] }
            let bounceLives = index[bounce] != nil
            if bounce != 0, (message == nil) != bounceLives, !(promises[bounce]?.finish != nil) {
                return ["message \(id) \(message == nil ? "is gone" : "is there") and its bounce \(bounceLives ? "is there" : "is not")"]
            }
            return []
        }
        guard promise.isAccepted else { return [] }
        guard let message else { return ["message \(id) was accepted and is lost"] }
        var broken: [String] = []
        if content(message) != promise.content { broken.append("message \(id) has other content") }
        if promise.holdsUnderWay == 0, message.record.isHeld != promise.isHeld {
            broken.append("message \(id) is \(message.record.isHeld ? "" : "not ")held")
        }
        for offset in promise.routes where message.record.recipients.recipient(at: offset) == nil {
            broken.append("message \(id) has lost its rerouted recipient \(offset)")
        }
        message.record.recipients.visit { recipient in
            let told = promise.told[recipient.offset] ?? []
            let durable = promise.durable[recipient.offset]
            // What was told after the last durable state may be there or not.
            let possible = durable.flatMap { told.lastIndex(of: $0) }.map { told[$0...] } ?? [.pending] + told
            if !possible.contains(recipient.state) {
                broken.append("message \(id) recipient \(recipient.offset) was \(durable ?? .pending) and is \(recipient.state)")
            }
        }
        return broken
    }

    private func content(_ message: QueuedMessage) -> [UInt8]? { writer.journal.table.content(message.record.content) }

    /// After a crash: the ledger believes what it sees, so that the work can go on.
    mutating func settle() {
        open = index.messages.keys.sorted()
        for (id, promise) in promises {
            guard let message = index[id] else {
                promises[id] = nil
                continue
            }
            var settled = Promise(content: promise.content)
            settled.isAccepted = true
            settled.isHeld = message.record.isHeld
            message.record.recipients.visit { recipient in
                guard recipient.state != .pending else { return }
                settled.told[recipient.offset] = [recipient.state]
                settled.durable[recipient.offset] = recipient.state
            }
            promises[id] = settled
        }
    }
}
