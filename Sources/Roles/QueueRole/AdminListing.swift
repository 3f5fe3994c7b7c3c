internal import Addresses
internal import Frames
private import Journal
internal import JournalFormat
private import Posix

/// Tells an administrator what the queue holds, piece by piece.
final class AdminListing {
    private let queue: QueueManager
    private let selection: Admin.Selection
    /// Recipients of channels that have ended are told too.
    private let isWhole: Bool
    /// Ids still to be listed, the next one last.
    private var ids: [UInt64]
    /// Where the recipients of the next one go on; nil: it was not begun.
    private var cursor: UInt32?
    private let now = unixTime()

    /// Messages looked at in one piece.
    private static let messagesPerPiece = 10_000

    init(_ queue: QueueManager, _ selection: Admin.Selection, isWhole: Bool = false) {
        self.queue = queue
        self.selection = selection
        self.isWhole = isWhole
        ids = selection.ids.isEmpty ? queue.index.messages.keys.sorted(by: >) : selection.ids.reversed()
    }

    /// - Parameter mayGoOn: whether the client takes more now.
    /// - Returns: whether all is told.
    func step(_ send: (Admin.Answer) -> Void, while mayGoOn: () -> Bool) -> Bool {
        var looked = 0
        while let id = ids.last {
            guard mayGoOn(), looked < Self.messagesPerPiece else { return false }
            looked += 1
            cursor = tell(id, from: cursor, send)
            if cursor == nil { ids.removeLast() }
        }
        return true
    }

    private func tell(_ id: UInt64, from cursor: UInt32?, _ send: (Admin.Answer) -> Void) -> UInt32? {
        // What has ended is of no interest any more, though the disk does not know yet.
        guard let message = queue.index[id], !message.isEnding else {
            if !selection.ids.isEmpty { send(.missing(id)) }
            return nil
        }
        guard cursor != nil || selection.matches(message.record, now: now) && selection.matchesSomeOpen(message.record.recipients) else { return nil }
        return tell(message.record, from: cursor, send)
    }

    /// Sends one piece of a message.
    /// - Returns: where the next begins, nil at the end. Offsets of recipients do not change while the message lives.
    private func tell(_ record: MessageRecord, from cursor: UInt32?, _ send: (Admin.Answer) -> Void) -> UInt32? {
        if cursor == nil { send(.message(head(of: record))) }
        var recipients: [Admin.Recipient] = []
        var (cursor, bytes) = (cursor ?? 0, 0)
        while bytes < Admin.Answer.recipientBytesPerFrame {
            guard let recipient = record.recipients.recipient(at: cursor) else {
                send(.recipients(recipients))
                return nil
            }
            cursor = record.recipients.offset(after: recipient)
            bytes += Int(recipient.address.count) + 3
            // qmail forgets a channel's recipients when all of them are done.
            guard isWhole || record.recipients.pendingCount(recipient.channel) > 0, recipient.state != .rerouted, selection.matches(recipient),
                let address = Address(recipient.address)
            else { continue }
            recipients.append(
                Admin.Recipient(
                    channel: recipient.channel, state: state(of: recipient, record.id), address: address, relay: Array(recipient.relay)))
        }
        send(.recipients(recipients))
        return cursor
    }

    private func state(of recipient: PackedRecipients.Recipient, _ id: UInt64) -> Admin.Recipient.State {
        switch recipient.state {
        case .pending: queue.dispatcher?.isUnderWay(id, recipient.offset) == true ? .underWay : .waiting
        case .expiring, .removing, .rerouted: .underWay
        case .delivered: .delivered
        case .failed: .failed
        case .removed: .removed
        }
    }

    private func head(of record: MessageRecord) -> Admin.Message {
        Admin.Message(
            id: record.id, birth: record.birth, size: UInt64(record.content.length), sender: Address(record.sender) ?? .null,
            isBouncing: record.recipients.failedCount > 0, isHeld: record.isHeld, nextLocal: record.nextLocal, nextRemote: record.nextRemote)
    }
}
