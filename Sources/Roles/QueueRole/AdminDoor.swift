internal import Addresses
internal import Boundaries
internal import Frames
internal import Journal
internal import JournalFormat
internal import Posix

/// The queue's side of `run/admin`: what it holds, for `qmail-qread` and `qmail-qstat`.
final class AdminDoor {
    private final class Peer {
        var frames: FramePeer?
        var requests: [Admin.Request] = []
        var listing: Listing?
    }

    /// How far a listing has come.
    private struct Listing {
        /// Ids still to be listed, the next one last.
        var ids: [UInt64]
        /// Where the recipients of the next one go on; nil: it was not begun.
        var cursor: UInt32?
    }

    private let loop: EventLoop
    private let queue: QueueManager
    private var peers: [ObjectIdentifier: Peer] = [:]

    /// Answers go on when the client has taken what it was sent, so that a queue of a million costs no memory.
    private static let unsentLimit = 1 << 18
    private static let pauseSeconds = 0.002
    private static let maxRequests = 64
    private static let maxPeers = 64

    init(on loop: EventLoop, _ queue: QueueManager) {
        self.loop = loop
        self.queue = queue
    }

    func accept(_ connection: consuming FileDescriptor) {
        guard peers.count < Self.maxPeers else { return log("queue: an administrator's connection was turned away: there are too many") }
        let peer = Peer()
        do throws(SystemError) {
            peer.frames = try FramePeer(
                connection, on: loop, maxLength: Admin.Request.maxLength,
                onFrame: { [weak self, weak peer] (frame) throws(FrameError) in
                    guard let self, let peer else { return }
                    guard peer.requests.count < Self.maxRequests else { throw .malformed(frame.type) }
                    peer.requests.append(try Admin.Request(frame))
                    if peer.requests.count == 1 { serve(peer) }
                },
                onClose: { [weak self, weak peer] _ in if let peer { self?.peers[ObjectIdentifier(peer)] = nil } })
            peers[ObjectIdentifier(peer)] = peer
        } catch {
            log("queue: an administrator's connection could not be taken on: \(error)")
        }
    }

    private func serve(_ peer: Peer) {
        while let request = peer.requests.first {
            guard let frames = peer.frames, frames.unsent <= Self.unsentLimit else { return serveLater(peer) }
            switch request {
            case .counts: send(.counts(counts()), to: frames)
            case .list: guard list(peer, frames) else { return serveLater(peer) }
            }
            send(.end, to: frames)
            peer.requests.removeFirst()
        }
    }

    private func serveLater(_ peer: Peer) {
        loop.after(seconds: Self.pauseSeconds) { [weak self, weak peer] in
            guard let self, let peer, peers[ObjectIdentifier(peer)] != nil else { return }
            serve(peer)
        }
    }

    private func send(_ answer: Admin.Answer, to frames: FramePeer) { frames.send { answer.encode(into: &$0) } }

    private func counts() -> Admin.Counts {
        let index = queue.index
        return Admin.Counts(
            messages: UInt64(max(0, index.messages.count - queue.endingCount)), waitingLocal: UInt64(max(0, index.pendingLocal)),
            waitingRemote: UInt64(max(0, index.pendingRemote)))
    }

    /// - Returns: false when the client must take something first.
    private func list(_ peer: Peer, _ frames: FramePeer) -> Bool {
        var listing = peer.listing ?? Listing(ids: queue.index.messages.keys.sorted(by: >))
        // One owner, so that nothing is copied.
        peer.listing = nil
        while let id = listing.ids.last {
            if frames.unsent > Self.unsentLimit {
                peer.listing = listing
                return false
            }
            // What has ended is of no interest any more, though the disk does not know yet.
            let message = queue.index[id].flatMap { $0.isEnding ? nil : $0 }
            listing.cursor = message.flatMap { send($0.record, from: listing.cursor, to: frames) }
            if listing.cursor == nil { listing.ids.removeLast() }
        }
        return true
    }

    /// Sends one piece of a message.
    /// - Returns: where the next begins, nil at the end. Offsets of recipients do not change while the message lives.
    private func send(_ record: MessageRecord, from cursor: UInt32?, to frames: FramePeer) -> UInt32? {
        if cursor == nil { sendHead(record, to: frames) }
        var recipients: [Admin.Recipient] = []
        var (cursor, bytes) = (cursor ?? 0, 0)
        while bytes < Admin.Answer.recipientBytesPerFrame {
            guard let recipient = record.recipients.recipient(at: cursor) else {
                send(.recipients(recipients), to: frames)
                return nil
            }
            cursor = record.recipients.offset(after: recipient)
            bytes += Int(recipient.address.count) + 3
            // qmail forgets a channel's recipients when all of them are done.
            guard record.recipients.pendingCount(recipient.channel) > 0, let address = Address(recipient.address) else { continue }
            recipients.append(Admin.Recipient(channel: recipient.channel, isDone: recipient.state != .pending, address: address))
        }
        send(.recipients(recipients), to: frames)
        return cursor
    }

    private func sendHead(_ record: MessageRecord, to frames: FramePeer) {
        let message = Admin.Message(
            id: record.id, birth: record.birth, size: UInt64(record.content.length), sender: Address(record.sender) ?? .null,
            isBouncing: !record.failures.isEmpty)
        send(.message(message), to: frames)
    }
}
