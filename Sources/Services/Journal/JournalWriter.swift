package import JournalFormat
internal import Posix

/// What the queue asks of the log.
package enum JournalEntry: Sendable {
    /// A new message. `content` is nil when the record refers to a content file, which is durable already.
    case accept(MessageRecord, content: [UInt8]?)
    /// A message that lives in an old segment, with the folded state of its recipients; written again at the head.
    case carry(MessageRecord)
    /// Outcomes and retries.
    case records([JournalRecord])
    /// A message leaves the queue; its bounce enters it in the same batch.
    case finish(id: UInt64, bounce: MessageRecord?, bounceContent: [UInt8])
    /// Nothing lives in segments up to this one any more, as far as answers up to token `known` tell. When the segments hold messages of later
    /// tokens nothing happens: the owner tries again when it knows them.
    case release(through: UInt64, known: UInt64)
    /// The last entry of an orderly stop: everything is synced, and a batch without records says so, so that the next start has no doubts to settle.
    case stop

    /// New mail is refused when room is short or the disk fails; all else is owed to mail accepted before.
    package var isNewMail: Bool { if case .accept = self { true } else { false } }

    /// Somebody waits for the answer; others are synced within a second.
    package var isUrgent: Bool {
        switch self {
        case .accept: true
        case .finish(_, let bounce, _): bounce != nil
        case .stop: true
        case .carry, .records, .release: false
        }
    }
}

package enum EntryResult: Equatable, Sendable {
    /// Durable. For accept, carry and a bounce: where the message is now.
    case durable(Placement?)
    /// New mail that is not in the log and will not come back.
    case refused(Journal.Failure)
    /// Nobody can know. Nothing may be said about it; only a recovery can tell.
    case unknown
}

/// Where a message stands in the log.
package struct Placement: Equatable, Sendable {
    /// Of the record; the log may not be cut behind it.
    package let segment: UInt64
    package let content: ContentReference
    /// It was carried though its content did not check: the bytes as they are, still known as damaged.
    package var isDamaged = false
}

/// Group commit, without the thread: takes entries in order, writes them in few batches, syncs, and says what became of each.
///
/// A failed write or sync voids all that was not synced. New mail in it is refused; everything else is written again before anything is answered.
package final class JournalWriter {
    package typealias Answer = (token: UInt64, result: EntryResult)

    package let journal: Journal
    /// The log cannot be written any more: only a new start with its recovery helps.
    package private(set) var isDead = false

    private struct Item {
        let token: UInt64
        let entry: JournalEntry
        /// Of the batch it is in.
        var sequence: UInt64 = 0
        var placement: Placement?
    }

    /// Taken, not yet in a batch: at the front what waits for a free segment.
    private var waiting: [Item] = []
    /// In batches that are not synced.
    private var unsynced: [Item] = []
    private var answers: [Answer] = []
    /// By segment: the last token whose message was written there.
    private var lastToken: [UInt64: UInt64] = [:]

    /// Contents gathered in one batch, about.
    private static let batchBytes = 4 << 20

    package init(_ journal: Journal) { self.journal = journal }

    /// Whether something is in a batch that no sync covers.
    package var hasUnsynced: Bool { !unsynced.isEmpty }
    package var hasWaiting: Bool { !waiting.isEmpty }

    /// - Parameter sync: make all that was written durable now; else only what is urgent forces it.
    package func commit(_ entries: [(token: UInt64, entry: JournalEntry)], sync: Bool) -> [Answer] {
        waiting.append(contentsOf: entries.map { Item(token: $0.token, entry: $0.entry) })
        let mustSync = sync || entries.contains { $0.entry.isUrgent }
        // Each round ends with everything written, or with the segment retired and less to write.
        while !isDead {
            do throws(Journal.Failure) {
                try writeWaiting()
                if mustSync { try syncAll() }
                break
            } catch {
                if case .disk = error {
                    voidUnsynced()
                } else if !releaseWaiting() {
                    // What waits behind what is owed would wait without end.
                    waiting = owed(among: waiting, refusing: error)
                    break
                }
            }
        }
        if isDead { giveUp() }
        defer { answers = [] }
        return answers
    }

    // MARK: Batches

    private func writeWaiting() throws(Journal.Failure) {
        while let first = waiting.first {
            if case .release(let number, let known) = first.entry {
                try syncAll()
                try release(through: number, known: known)
                answers.append((first.token, .durable(nil)))
                waiting.removeFirst()
            } else if case .stop = first.entry {
                try syncAll()
                var marker = Batch()
                _ = try journal.write(&marker)
                answers.append((first.token, .durable(nil)))
                waiting.removeFirst()
            } else {
                try writeOneBatch()
            }
        }
    }

    private func release(through number: UInt64, known: UInt64) throws(Journal.Failure) {
        guard !lastToken.contains(where: { $0.key <= number && $0.value > known }) else { return }
        guard try journal.release(through: number) else { return }
        lastToken = lastToken.filter { $0.key > number }
    }

    /// Without room, what frees segments goes first. It may overtake: its owner asked for it on the ground of durable answers alone.
    /// - Returns: whether a segment is free now.
    private func releaseWaiting() -> Bool {
        let free = journal.pool.count
        for item in waiting {
            guard case .release(let number, let known) = item.entry else { continue }
            do throws(Journal.Failure) {
                try syncAll()
                try release(through: number, known: known)
            } catch {
                return false
            }
            answers.append((item.token, .durable(nil)))
            waiting.removeAll { $0.token == item.token }
        }
        return journal.pool.count > free
    }

    private func writeOneBatch() throws(Journal.Failure) {
        var batch = Batch()
        var items: [Item] = []
        var contents: [(item: Int, offset: Int, length: Int, isDamaged: Bool)] = []
        gather(&batch, &items, &contents)
        guard !items.isEmpty else { return }
        do throws(Journal.Failure) {
            let place = try journal.write(&batch)
            note(place, batch.contentChecks(), contents, in: &items)
            answerSynced()
            unsynced.append(contentsOf: items)
        } catch {
            // On the way to a new segment the old one may have been synced.
            answerSynced()
            if error == .noRoom {
                // What is owed stays at the front, in order, until a segment is free.
                waiting.insert(contentsOf: owed(among: items, refusing: error), at: 0)
            } else if error == .tooLarge {
                for item in items { answers.append((item.token, .refused(error))) }
                return
            } else {
                for index in items.indices { items[index].sequence = .max }
                unsynced.append(contentsOf: items)
            }
            throw error
        }
    }

    private func note(
        _ place: Journal.Place, _ checks: [UInt32], _ contents: [(item: Int, offset: Int, length: Int, isDamaged: Bool)], in items: inout [Item]
    ) {
        for index in items.indices {
            items[index].sequence = place.sequence
            guard let message = items[index].entry.message else { continue }
            items[index].placement = Placement(segment: place.segment, content: message.content)
            lastToken[place.segment] = max(lastToken[place.segment] ?? 0, items[index].token)
        }
        for (content, check) in zip(contents, checks) {
            items[content.item].placement = Placement(
                segment: place.segment,
                content: .inline(
                    segment: place.segment, offset: UInt32(place.contentOffset + content.offset), length: UInt32(content.length), check: check),
                isDamaged: content.isDamaged)
        }
    }

    /// Moves what fits into one batch from ``waiting`` to `items`.
    private func gather(_ batch: inout Batch, _ items: inout [Item], _ contents: inout [(item: Int, offset: Int, length: Int, isDamaged: Bool)]) {
        var taken = 0
        while taken < waiting.count, batch.length < Self.batchBytes {
            let item = waiting[taken]
            if item.entry.isOrder { break }
            let length = item.entry.length
            if item.entry.isNewMail, length > journal.batchCapacity || !journal.hasRoomForMail(batch.length + length) {
                answers.append((item.token, .refused(.noRoom)))
                taken += 1
                continue
            }
            if !batch.isEmpty, batch.length + length > journal.batchCapacity { break }
            if let message = item.entry.message { journal.noteID(message.id) }
            taken += 1
            do throws(SystemError) {
                if let content = try append(item.entry, to: &batch) {
                    contents.append((items.count, content.offset, content.length, content.isDamaged))
                }
                items.append(item)
            } catch {
                // A carry whose content cannot be read now: it stays where it is.
                answers.append((item.token, .refused(.disk(error))))
            }
        }
        waiting.removeFirst(taken)
    }

    private func append(_ entry: JournalEntry, to batch: inout Batch) throws(SystemError) -> (offset: Int, length: Int, isDamaged: Bool)? {
        switch entry {
        case .accept(let message, let content?): return (batch.append(message, carried: false, content: content), content.count, false)
        case .accept(let message, nil): batch.append(.accept(message))
        case .carry(let message):
            guard case .inline = message.content else {
                batch.append(.carry(message))
                return nil
            }
            // Damaged content is carried as it is, and stays known as damaged.
            let (content, isWhole) = try journal.table.read(message.content)
            return (batch.append(message, carried: true, content: content, isDamaged: !isWhole), content.count, !isWhole)
        case .records(let records): for record in records { batch.append(record) }
        case .finish(let id, let bounce, let content):
            defer { batch.append(.finish(id: id, bounce: bounce?.id ?? 0)) }
            guard let bounce else { return nil }
            guard case .inline = bounce.content else {
                batch.append(.accept(bounce))
                return nil
            }
            return (batch.append(bounce, carried: false, content: content), content.count, false)
        case .release, .stop: break
        }
        return nil
    }

    // MARK: Syncs and their failures

    private func syncAll() throws(Journal.Failure) {
        try journal.sync()
        answerSynced()
    }

    private func answerSynced() {
        let synced = journal.synced
        let count = unsynced.prefix { $0.sequence <= synced }.count
        for item in unsynced.prefix(count) { answers.append((item.token, .durable(item.placement))) }
        unsynced.removeFirst(count)
    }

    private func voidUnsynced() {
        // A sync on the way to a new segment may have covered some.
        answerSynced()
        do throws(Journal.Failure) {
            try journal.voidUnsynced()
        } catch {
            isDead = true
            return
        }
        let lost = unsynced
        unsynced = []
        waiting.insert(contentsOf: owed(among: lost, refusing: .voided), at: 0)
    }

    /// Refuses the new mail among `items`; the rest must still be written.
    private func owed(among items: [Item], refusing failure: Journal.Failure) -> [Item] {
        for item in items where item.entry.isNewMail { answers.append((item.token, .refused(failure))) }
        return items.filter { !$0.entry.isNewMail }
    }

    private func giveUp() {
        for item in unsynced + waiting { answers.append((item.token, .unknown)) }
        unsynced = []
        waiting = []
    }
}

extension JournalEntry {
    /// The message that it writes.
    fileprivate var message: MessageRecord? {
        switch self {
        case .accept(let message, _), .carry(let message): message
        case .finish(_, let bounce, _): bounce
        case .records, .release, .stop: nil
        }
    }

    /// Something to do rather than to write.
    fileprivate var isOrder: Bool {
        switch self {
        case .release, .stop: true
        case .accept, .carry, .records, .finish: false
        }
    }

    /// About what it adds to a batch, bytes; never too little.
    package var length: Int {
        switch self {
        case .accept(let message, let content): message.logBytes + (content?.count ?? 0)
        case .carry(let message): message.logBytes
        case .records(let records): records.reduce(0) { $0 + $1.roomInBatch }
        case .finish(_, let bounce, let content): 32 + (bounce?.logBytes ?? 0) + content.count
        case .release, .stop: 0
        }
    }
}
