package import JournalFormat

/// One message that lives in the queue. What costs memory: this object, the sender, and the packed recipients; with what schedule
/// and cleaner keep about 340 bytes and the addresses (docs/queue.md).
package final class QueuedMessage {
    package var record: MessageRecord
    /// Where its latest accept or carry stands.
    package fileprivate(set) var segment: UInt64
    /// Its end is on the way to the log; until that is durable the message counts as alive, and must not be carried any more.
    package var isEnding = false

    fileprivate init(_ record: MessageRecord, segment: UInt64) {
        self.record = record
        self.segment = segment
    }

    package var id: UInt64 { record.id }
}

/// Folds the records of the log into the messages that live. The same fold at run time and at recovery.
package struct QueueIndex {
    package private(set) var messages: [UInt64: QueuedMessage] = [:]
    /// The measure that decides about cleaning.
    package private(set) var liveBytes = 0
    /// Recipients still to be tried.
    package private(set) var pendingLocal = 0
    package private(set) var pendingRemote = 0

    package init() {}

    package subscript(_ id: UInt64) -> QueuedMessage? { messages[id] }

    /// - Parameter segment: where the record stands; it matters for accepts and carries only.
    package mutating func apply(_ record: JournalRecord, segment: UInt64 = 0) {
        switch record {
        case .accept(let message), .carry(let message): insert(message, segment)
        case .outcome(let id, let recipient, let state, let text):
            guard let message = messages[id] else { return }
            countPending(message.record, -1)
            message.record.recipients.end(recipient, as: state)
            countPending(message.record, 1)
            if state == .failed, !text.isEmpty {
                let before = message.record.logBytes
                message.record.failures.append(recipient, text)
                liveBytes += message.record.logBytes - before
            }
        case .retry(let id, let channel, let next): messages[id]?.record.setNext(channel, next)
        case .hold(let id): messages[id]?.record.isHeld = true
        case .release(let id): messages[id]?.record.isHeld = false
        case .reroute(let id, let recipient, let route):
            guard let message = messages[id] else { return }
            liveBytes -= message.record.logBytes
            countPending(message.record, -1)
            message.record.recipients.reroute(recipient, to: route)
            countPending(message.record, 1)
            liveBytes += message.record.logBytes
        case .finish(let id, _): remove(id)
        case .void: break
        }
    }

    /// A carry is durable.
    package mutating func moved(_ id: UInt64, to placement: Placement) {
        messages[id]?.record.content = placement.content
        messages[id]?.segment = placement.segment
    }

    private mutating func insert(_ record: MessageRecord, _ segment: UInt64) {
        countPending(record, 1)
        if let message = messages[record.id] {
            countPending(message.record, -1)
            liveBytes += record.logBytes - message.record.logBytes
            message.record = record
            message.segment = segment
        } else {
            liveBytes += record.logBytes
            messages[record.id] = QueuedMessage(record, segment: segment)
        }
    }

    private mutating func remove(_ id: UInt64) {
        guard let message = messages.removeValue(forKey: id) else { return }
        liveBytes -= message.record.logBytes
        countPending(message.record, -1)
    }

    private mutating func countPending(_ record: MessageRecord, _ sign: Int) {
        pendingLocal += sign * record.recipients.pendingCount(.local)
        pendingRemote += sign * record.recipients.pendingCount(.remote)
    }
}
