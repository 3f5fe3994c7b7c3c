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
        /// Ids still to be listed, the next one last.
        var listing: [UInt64]?
    }

    private let loop: EventLoop
    private let queue: QueueManager
    private var peers: [ObjectIdentifier: Peer] = [:]

    /// A listing goes on when the client has taken what it was sent, so that a queue of a million costs no memory.
    private static let unsentLimit = 1 << 18
    private static let pauseSeconds = 0.002
    private static let maxRequests = 64

    init(on loop: EventLoop, _ queue: QueueManager) {
        self.loop = loop
        self.queue = queue
    }

    func accept(_ connection: consuming FileDescriptor) {
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
            switch request {
            case .counts: send(.counts(counts()), to: peer)
            case .list: guard list(peer) else { return }
            }
            send(.end, to: peer)
            peer.requests.removeFirst()
        }
    }

    private func send(_ answer: Admin.Answer, to peer: Peer) { peer.frames?.send { answer.encode(into: &$0) } }

    private func counts() -> Admin.Counts {
        var counts = Admin.Counts(messages: UInt64(queue.index.messages.count), waitingLocal: 0, waitingRemote: 0)
        for message in queue.index.messages.values {
            counts.waitingLocal += UInt64(message.record.recipients.pendingCount(.local))
            counts.waitingRemote += UInt64(message.record.recipients.pendingCount(.remote))
        }
        return counts
    }

    /// - Returns: false when the client must take something first; then the listing goes on by itself.
    private func list(_ peer: Peer) -> Bool {
        var ids = peer.listing ?? queue.index.messages.keys.sorted(by: >)
        while let id = ids.popLast() {
            if let message = queue.index[id] { send(message.record, to: peer) }
            if let frames = peer.frames, frames.unsent > Self.unsentLimit {
                peer.listing = ids
                loop.after(seconds: Self.pauseSeconds) { [weak self, weak peer] in
                    guard let self, let peer, peers[ObjectIdentifier(peer)] != nil else { return }
                    serve(peer)
                }
                return false
            }
        }
        peer.listing = nil
        return true
    }

    private func send(_ record: MessageRecord, to peer: Peer) {
        let message = Admin.Message(
            id: record.id, birth: record.birth, size: UInt64(record.content.length), sender: Address(record.sender) ?? .null,
            isBouncing: !record.failures.isEmpty)
        send(.message(message), to: peer)
        var recipients: [Admin.Recipient] = []
        for channel in Channel.allCases {
            record.recipients.forEach { recipient in
                guard recipient.channel == channel, let address = Address(recipient.address) else { return }
                recipients.append(Admin.Recipient(channel: channel, isDone: recipient.state != .pending, address: address))
            }
        }
        send(.recipients(recipients), to: peer)
    }
}
