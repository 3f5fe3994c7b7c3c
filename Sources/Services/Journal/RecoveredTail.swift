internal import JournalFormat
internal import Posix

/// Messages that batches above the mark speak of. Those batches were written, and perhaps never synced: after a mere restart they can be read and are
/// still not on the disk, and no later sync of their file would put them there. So what they say is written again, before anybody is told of it.
struct RecoveredTail {
    private var touched: Set<UInt64> = []
    private var finished: [(id: UInt64, bounce: UInt64)] = []

    /// Voids were obeyed that may not be durable: they must be declared again.
    private var hasVoids = false

    var isEmpty: Bool { touched.isEmpty && finished.isEmpty && !hasVoids }

    mutating func note(_ record: JournalRecord) {
        switch record {
        case .accept(let message), .carry(let message): touched.insert(message.id)
        case .outcome(let id, _, _, _), .retry(let id, _, _), .hold(let id), .release(let id), .reroute(let id, _, _):
            touched.insert(id)
        case .finish(let id, let bounce): finished.append((id, bounce))
        case .void: hasVoids = true
        }
    }

    /// Writes every touched message again with its folded state, and every end with its bounce; durable when this returns.
    /// Cut off at any point, the old batches still say the same.
    func settle(_ journal: Journal, _ index: inout QueueIndex) throws(SystemError) {
        let entries = try entries(journal, index)
        let writer = JournalWriter(journal)
        var answers = writer.commit(entries.enumerated().map { (UInt64($0.offset), $0.element.entry) }, sync: true)
        while writer.hasWaiting {
            try journal.pool.prepare()
            answers += writer.commit([], sync: true)
        }
        for answer in answers {
            guard case .durable(let placement) = answer.result else { throw Journal.Failure.noRoom.asSystemError }
            if let placement, let id = entries[Int(answer.token)].message { index.moved(id, to: placement) }
        }
    }

    private func entries(_ journal: Journal, _ index: QueueIndex) throws(SystemError) -> [(entry: JournalEntry, message: UInt64?)] {
        var entries: [(entry: JournalEntry, message: UInt64?)] = []
        var bounces: Set<UInt64> = []
        for (id, bounce) in finished {
            let record = index[bounce]?.record
            // The tail was checked when it was read, contents and all.
            let content = try record.map { (record) throws(SystemError) in try journal.table.read(record.content).bytes } ?? []
            bounces.insert(bounce)
            entries.append((.finish(id: id, bounce: record, bounceContent: content), record?.id))
        }
        for id in touched.subtracting(bounces).sorted() {
            if let message = index[id] { entries.append((.carry(message.record), id)) }
        }
        return entries
    }
}
