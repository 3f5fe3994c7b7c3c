internal import Addresses
internal import Frames
private import Journal
internal import JournalFormat
private import Posix

/// Tells an administrator what the queue holds, piece by piece.
final class AdminListing {
    /// Which recipients are told of a message.
    enum Extent {
        /// Those of channels that go on: qmail forgets a channel's recipients when all of them are done.
        case open
        /// Those that have failed too, while their bounce is not made.
        case removable
        case whole
    }

    private let queue: QueueManager
    private let selection: Admin.Selection
    private let extent: Extent
    /// Ids still to be listed, the next one last.
    private var ids: [UInt64]
    private var isReady = true
    /// Where the recipients of the next one go on; nil: it was not begun.
    private var cursor: UInt32?
    private let now = unixTime()

    /// Messages looked at in one piece.
    private static let messagesPerPiece = 10_000

    init(_ queue: QueueManager, _ selection: Admin.Selection, _ extent: Extent) {
        self.queue = queue
        self.selection = selection
        self.extent = extent
        ids = selection.ids.reversed()
        guard selection.ids.isEmpty else { return }
        isReady = false
        queue.sortedIDs { [weak self] all in
            self?.ids = all
            self?.isReady = true
        }
    }

    /// - Parameter mayGoOn: whether the client takes more now.
    /// - Returns: whether all is told.
    func step(_ send: (Admin.Answer) -> Void, while mayGoOn: () -> Bool) -> Bool {
        guard isReady else { return false }
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
        guard
            cursor != nil
                || selection.matches(message.record, now: now) && selection.matchesSome(message.record.recipients, orFailed: extent == .removable)
        else { return nil }
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
            guard isTold(recipient, of: record.recipients), recipient.state != .rerouted, selection.matches(recipient),
                let address = Address(recipient.address)
            else { continue }
            recipients.append(
                Admin.Recipient(
                    channel: recipient.channel, state: state(of: recipient, record.id), address: address, relay: Array(recipient.relay)))
        }
        send(.recipients(recipients))
        return cursor
    }

    private func isTold(_ recipient: PackedRecipients.Recipient, of recipients: PackedRecipients) -> Bool {
        switch extent {
        case .open: recipients.pendingCount(recipient.channel) > 0
        case .removable: recipients.pendingCount(recipient.channel) > 0 || recipient.state == .failed
        case .whole: true
        }
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
