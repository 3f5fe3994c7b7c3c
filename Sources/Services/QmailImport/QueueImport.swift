package import Addresses
private import Bytes
package import Journal
package import JournalFormat
package import Posix
private import QueueStore
package import Storage

/// Puts the messages of a stopped qmail's queue into ours, each with its state, while no queue runs here. An import that was cut off anywhere goes on
/// when it is run again, and each message comes in once (docs/decisions/0013-import.md):
///
/// 1. the plan is durable, which gives each message an id of ours, before the first message is written;
/// 2. no queue runs while there is a plan, so that nothing leaves the log: what is in the log under a planned id was imported, what is not was not;
/// 3. the plan goes after what was imported stands durably in the list of all that was.
///
/// Module `QmailImport` reads another system's home and never changes it. It must not deliver, and not run beside a queue.
package final class QueueImport {
    package enum Failure: Error, Equatable {
        case disk(SystemError)
        /// The log cannot be written any more; a new run's recovery decides what is in it.
        case lostLog
        /// A list of ours that is not as we wrote it: file and line.
        case malformed(String, line: Int)
    }

    private let selection: MessageSelection
    private let storage: any Storage
    private let parameters: Journal.Parameters
    private let route: (Address) -> PackedRecipients.Route?
    private let report: ImportReport
    private let writer: JournalWriter
    private var plan: ImportLedger
    private var done: ImportLedger
    private var lot: [Item] = []
    private var lotBytes = 0
    private var hasNewFiles = false

    private struct Item {
        let identity: SourceIdentity
        let message: SourceMessage
        let isRouted: Bool
        let record: MessageRecord
        let content: [UInt8]?
    }

    /// Contents gathered for one sync.
    private static let lotBytesWanted = 8 << 20
    private static let pieceBytes = 1 << 20

    /// Recovers our queue and looks at theirs.
    /// - Parameter random: as many unpredictable bytes as a salt has.
    package init(
        _ source: SourceQueue, into storage: any Storage, _ parameters: Journal.Parameters, random: @escaping () -> [UInt8],
        route: @escaping (Address) -> PackedRecipients.Route?, _ report: ImportReport
    ) throws(Failure) {
        self.storage = storage
        self.parameters = parameters
        self.route = route
        self.report = report
        var index = QueueIndex()
        writer = try onDisk { () throws(SystemError) in
            for folder in ["journal", ContentFiles.folder] { try storage.makeDirectory(folder) }
            try storage.syncDirectory("")
            let (journal, findings) = try Journal.recover(storage, parameters: parameters, random: random, into: &index)
            for finding in findings { report.add(.note, "queue/journal", "\(finding)") }
            return JournalWriter(journal)
        }
        done = try ImportLedger(.done, in: storage)
        plan = try ImportLedger(.plan, in: storage)
        // What an earlier run planned and did not get into the log is planned again, under another id.
        plan.ids = plan.ids.filter { index[$0.value] != nil }
        selection = MessageSelection(source, isImported: { [plan, done] in plan.ids[$0] != nil || done.ids[$0] != nil }, report)
    }

    package func run() throws(Failure) {
        try makePlan()
        var failure: Failure?
        do throws(Failure) {
            for (number, message) in selection.messages.enumerated() {
                try take(message)
                if lotBytes >= wantedBytes { try store(number + 1) }
            }
            try store(selection.messages.count)
        } catch {
            failure = error
        }
        // What is in is in, whatever stopped the rest.
        try finish()
        if let failure { throw failure }
    }

    // MARK: Steps

    /// Of files that no message names, too, so that none is met when ours is made.
    private func highestID() throws(SystemError) -> UInt64 {
        try storage.list(ContentFiles.folder).compactMap(ContentFiles.id).reduce(writer.journal.lastID) { max($0, $1) }
    }

    private func makePlan() throws(Failure) {
        try onDisk { () throws(SystemError) in
            var wanted = plan
            var id = try highestID()
            for message in selection.messages {
                id += 1
                wanted.ids[message.identity] = id
            }
            try wanted.write(.plan, to: storage)
            planned = wanted
        }
    }

    /// ``plan`` with what is to come; ``plan`` has what is in the log.
    private var planned = ImportLedger()

    private func take(_ message: MessageSelection.Message) throws(Failure) {
        guard let id = planned.ids[message.identity] else { return }
        try selection.read(message, route, report) { (found, content) throws(Failure) in
            var record = record(found, id)
            guard record.recipients.bytes.count <= parameters.maxEnvelopeBytes else {
                return MessageSelection.damaged(message.id, "its envelope is larger than a segment takes: raise control/queuesegmentbytes", report)
            }
            var bytes: [UInt8]?
            do throws(SystemError) {
                if content.size <= parameters.maxInlineBytes { bytes = try content.all() }
            } catch {
                return MessageSelection.damaged(message.id, "\(error)", report)
            }
            if let bytes {
                record.content = .inline(segment: 0, offset: 0, length: UInt32(bytes.count), check: 0)
            } else {
                guard let reference = try keep(content, of: message.id, as: id) else { return }
                record.content = reference
            }
            add(Item(identity: message.identity, message: found, isRouted: message.isRouted, record: record, content: bytes))
        }
    }

    private func record(_ message: SourceMessage, _ id: UInt64) -> MessageRecord {
        var record = MessageRecord(
            id: id, birth: message.birth, qp: message.qp, uid: message.uid, sender: message.sender.bytes,
            recipients: PackedRecipients(grouping: message.recipients), nextLocal: message.nextLocal, nextRemote: message.nextRemote,
            failures: FailureTexts(), content: .file(length: 0, check: 0))
        for failure in message.failures {
            record.append(failed: failure.recipient, parameters.textToKeep(failure.text[...], kept: record.failures.bytes.count))
        }
        return record
    }

    /// Copies a large content into a file of its own; its directory is synced with the lot.
    /// - Returns: nil when it could not be read; that is in the report.
    private func keep(_ content: borrowing SourceFile, of number: UInt64, as id: UInt64) throws(Failure) -> ContentReference? {
        let file: any StorageFile
        do throws(SystemError) { file = try storage.create(ContentFiles.path(id)) } catch { throw .disk(error) }
        hasNewFiles = true
        var (offset, check) = (0, CRC32C())
        while true {
            let piece: [UInt8]
            do throws(SystemError) { piece = try content.read(Self.pieceBytes, at: offset) } catch {
                MessageSelection.damaged(number, "\(error)", report)
                return nil
            }
            if piece.isEmpty { break }
            do throws(SystemError) { try file.write(piece, at: offset) } catch { throw .disk(error) }
            check.update(piece)
            offset += piece.count
        }
        do throws(SystemError) { try file.sync() } catch { throw .disk(error) }
        return .file(length: UInt64(offset), check: check.value)
    }

    private func add(_ item: Item) {
        lot.append(item)
        lotBytes += JournalEntry.accept(item.record, content: item.content).length
    }

    // MARK: The log

    /// A lot needs one new segment at most.
    private var wantedBytes: Int { min(Self.lotBytesWanted, writer.journal.batchCapacity / 2) }

    /// Makes the lot durable.
    private func store(_ number: Int) throws(Failure) {
        defer {
            (lot, lotBytes, hasNewFiles) = ([], 0, false)
            report.advanced(to: number, of: selection.messages.count)
        }
        try onDisk { () throws(SystemError) in
            if hasNewFiles { try storage.syncDirectory(ContentFiles.folder) }
            let length = min(lotBytes, writer.journal.batchCapacity)
            while !writer.journal.hasRoomForMail(length) { try writer.journal.pool.prepare() }
        }
        let entries = lot.enumerated().map { (UInt64($0.offset), JournalEntry.accept($0.element.record, content: $0.element.content)) }
        var failure: Failure?
        for answer in writer.commit(entries, sync: true) {
            let item = lot[Int(answer.token)]
            switch answer.result {
            case .durable:
                plan.ids[item.identity] = item.record.id
                report.counts.add(item.message, isRouted: item.isRouted, bytes: item.record.content.length)
            case .refused(.disk(let error)): failure = .disk(error)
            case .refused(let reason): MessageSelection.damaged(item.identity.id, "the queue refuses it (\(reason))", report)
            case .unknown: failure = .lostLog
            }
        }
        if let failure { throw failure }
    }

    /// The plan becomes a part of what was imported.
    private func finish() throws(Failure) {
        guard !writer.isDead else { throw .lostLog }
        try onDisk { () throws(SystemError) in
            done.ids.merge(plan.ids) { $1 }
            try done.write(.done, to: storage)
            _ = writer.commit([(0, .stop)], sync: true)
            try ImportLedger.remove(.plan, from: storage)
        }
    }
}

private func onDisk<Value>(_ body: () throws(SystemError) -> Value) throws(QueueImport.Failure) -> Value {
    do throws(SystemError) { return try body() } catch { throw .disk(error) }
}
