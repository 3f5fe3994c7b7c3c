internal import Frames
private import Glibc
internal import Journal
internal import JournalFormat
internal import Posix
private import QueueStore

/// Shows an administrator one message: envelope, texts of attempts, content.
final class AdminExhibit {
    private enum Content {
        case notAsked
        case opening
        case open(descriptor: Int32, offset: Int)
        case damaged(String)
    }

    private let listing: AdminListing
    private let texts: [(recipient: UInt64, text: [UInt8])]
    private let contentBytes: Int
    private var hasEnvelope = false
    private var content = Content.notAsked

    /// Of a message with more of them the first are told.
    private static let maxTexts = 1000

    /// Nil when there is no such message.
    init?(_ queue: QueueManager, _ id: UInt64, contentBytes: UInt64) {
        guard let message = queue.index[id], !message.isEnding else { return nil }
        var selection = Admin.Selection()
        selection.ids = [id]
        listing = AdminListing(queue, selection, .whole)
        texts = AdminExhibit.texts(message, queue)
        self.contentBytes = Int(clamping: contentBytes)
        guard contentBytes > 0 else { return }
        content = .opening
        queue.files.open(id, message.record.content, isChecked: true) { [weak self] opened in
            switch opened {
            case .descriptor(let raw): if let self { content = .open(descriptor: raw, offset: 0) } else { close(raw) }
            case .damaged(let why): self?.content = .damaged(why)
            }
        }
    }

    deinit { if case .open(let raw, _) = content { close(raw) } }

    private static func texts(_ message: QueuedMessage, _ queue: QueueManager) -> [(recipient: UInt64, text: [UInt8])] {
        var failures: [UInt32: [UInt8]] = [:]
        message.record.failures.visit { failures[$0] = Array($1) }
        var texts: [(recipient: UInt64, text: [UInt8])] = []
        var number: UInt64 = 0
        message.record.recipients.visit { recipient in
            guard recipient.state != .rerouted else { return }
            if texts.count < maxTexts, let text = failures[recipient.offset] ?? queue.dispatcher?.deferrals[message.id, recipient.offset] {
                texts.append((number, text))
            }
            number += 1
        }
        return texts
    }

    /// - Parameter mayGoOn: whether the client takes more now.
    /// - Returns: whether all is told.
    func step(_ send: (Admin.Answer) -> Void, while mayGoOn: () -> Bool) -> Bool {
        if !hasEnvelope {
            guard listing.step(send, while: mayGoOn) else { return false }
            hasEnvelope = true
            for (recipient, text) in texts { send(.text(recipient: recipient, text)) }
        }
        while mayGoOn() {
            switch content {
            case .notAsked: return true
            case .opening: return false
            case .damaged(let why):
                send(.refused(Array("the message cannot be read: \(why)".utf8)))
                return true
            case .open(let raw, let offset):
                guard let piece = piece(raw, offset) else { return true }
                send(.content(piece))
                content = .open(descriptor: raw, offset: offset + piece.count)
            }
        }
        return false
    }

    private func piece(_ raw: Int32, _ offset: Int) -> [UInt8]? {
        let wanted = min(Admin.Answer.contentBytesPerFrame, contentBytes - offset)
        guard wanted > 0 else { return nil }
        let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
            count = max(0, pread(raw, buffer.baseAddress, wanted, off_t(offset)))
        }
        return bytes.isEmpty ? nil : bytes
    }
}
