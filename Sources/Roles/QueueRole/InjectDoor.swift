internal import Addresses
internal import Boundaries
private import Bytes
internal import Frames
internal import Posix
internal import JournalFormat
internal import QueueStore

/// The queue's side of `run/inject`: any number of clients, each with any number of messages under way. What a client has not committed leaves
/// nothing behind.
final class InjectDoor {
    private let loop: EventLoop
    private let queue: QueueManager
    private let files: ContentFiles
    private let trustedNetworkUID: UInt32
    private var peers: [ObjectIdentifier: Peer] = [:]
    /// Bytes of all messages in memory that are not stored yet.
    private var held = 0

    /// When all messages together hold more than this, they go to files of their own earlier …
    private static let heldBudget = 256 << 20
    private static let spillBytesWhenFull = 1 << 16
    /// … and a client whose messages wait for the disk with more than this is not read from.
    private static let unwrittenBudget = 16 << 20
    /// Messages under way on one connection.
    private static let maxStreams = 100_000
    /// RFC 5321 has no bound for the recipients of local programs; this is what fits the log with room to spare.
    private static let maxRecipientBytes = 48 << 20

    private final class Peer {
        let identity: PeerIdentity
        var frames: FramePeer?
        var isNetwork = false
        var streams: [UInt32: Stream] = [:]
        var unwritten = 0
        var isPaused = false

        init(_ identity: PeerIdentity) { self.identity = identity }
    }

    /// One message being received.
    private final class Stream {
        let id: UInt64
        let qp: UInt64
        var content: [UInt8]
        var file: ContentFiles.Incoming?
        var recipients: [Address] = []
        var recipientBytes = 0
        var refusal: QueueRefusal?

        init(id: UInt64, qp: UInt64, content: [UInt8]) {
            self.id = id
            self.qp = qp
            self.content = content
        }
    }

    /// - Parameter trustedNetworkUID: of smtpd, whose word is taken that mail came from the network.
    init(on loop: EventLoop, _ queue: QueueManager, _ files: ContentFiles, trustedNetworkUID: UInt32) {
        self.loop = loop
        self.queue = queue
        self.files = files
        self.trustedNetworkUID = trustedNetworkUID
    }

    var isIdle: Bool { peers.values.allSatisfy { $0.streams.isEmpty } }

    func accept(_ connection: consuming FileDescriptor) {
        guard let identity = PeerIdentity(of: connection) else { return }
        let peer = Peer(identity)
        do throws(SystemError) {
            peer.frames = try FramePeer(
                connection, on: loop, maxLength: InjectRequest.maxLength,
                onFrame: { [weak self, weak peer] (frame) throws(FrameError) in
                    guard let self, let peer else { return }
                    try handle(try InjectRequest(frame), from: peer)
                },
                onClose: { [weak self, weak peer] reason in
                    guard let self, let peer else { return }
                    lost(peer, reason)
                })
            peers[ObjectIdentifier(peer)] = peer
        } catch {
            log("queue: a client could not be taken on: \(error)")
        }
    }

    private func lost(_ peer: Peer, _ reason: FrameError?) {
        if let reason { log("queue: dropped a client of uid \(peer.identity.uid) that broke the protocol: \(reason)") }
        peers[ObjectIdentifier(peer)] = nil
        for stream in peer.streams.values { discard(stream) }
        peer.streams = [:]
    }

    private func discard(_ stream: Stream) {
        held -= stream.content.count
        stream.content = []
        if let file = stream.file { files.abort(file) }
        stream.file = nil
    }

    // MARK: Frames

    private func handle(_ request: InjectRequest, from peer: Peer) throws(FrameError) {
        switch request {
        case .fromNetwork: peer.isNetwork = peer.identity.uid == trustedNetworkUID
        case .content(let number, let bytes): append(bytes, to: try stream(number, peer), peer)
        case .recipients(let number, let recipients): append(recipients, to: try stream(number, peer))
        case .commit(let number, let sender): commit(try stream(number, peer), number, sender, peer)
        case .abort(let number): if let stream = peer.streams.removeValue(forKey: number) { discard(stream) }
        }
    }

    private func stream(_ number: UInt32, _ peer: Peer) throws(FrameError) -> Stream {
        if let stream = peer.streams[number] { return stream }
        guard peer.streams.count < Self.maxStreams else { throw .malformed(2) }
        let id = queue.takeID()
        let qp = peer.isNetwork ? id : UInt64(max(0, peer.identity.pid))
        let stream = Stream(id: id, qp: qp, content: queue.receivedLine(qp: qp, uid: peer.identity.uid, isNetwork: peer.isNetwork))
        held += stream.content.count
        peer.streams[number] = stream
        return stream
    }

    private func append(_ bytes: ArraySlice<UInt8>, to stream: Stream, _ peer: Peer) {
        guard stream.refusal == nil else { return }
        stream.content.append(contentsOf: bytes)
        held += bytes.count
        let limit = held > Self.heldBudget ? Self.spillBytesWhenFull : queue.maxInlineBytes
        if stream.content.count > limit || stream.file != nil { spill(stream, peer) }
    }

    private func spill(_ stream: Stream, _ peer: Peer) {
        let file = stream.file ?? files.begin(stream.id)
        stream.file = file
        let bytes = stream.content
        stream.content = []
        held -= bytes.count
        peer.unwritten += bytes.count
        files.append(bytes, to: file) { [weak self, weak peer] in
            guard let peer else { return }
            peer.unwritten -= bytes.count
            self?.adjust(peer)
        }
        adjust(peer)
    }

    private func adjust(_ peer: Peer) {
        let shouldPause = peer.unwritten > Self.unwrittenBudget
        guard shouldPause != peer.isPaused else { return }
        peer.isPaused = shouldPause
        if shouldPause { peer.frames?.pause() } else { peer.frames?.resume() }
    }

    private func append(_ recipients: [Address], to stream: Stream) {
        stream.recipientBytes += recipients.reduce(0) { $0 + $1.bytes.count + 3 }
        guard stream.recipientBytes <= min(Self.maxRecipientBytes, queue.maxEnvelopeBytes) else {
            stream.refusal = .permanentlyRejected
            stream.recipients = []
            return
        }
        stream.recipients.append(contentsOf: recipients)
    }

    // MARK: Commit

    private func commit(_ stream: Stream, _ number: UInt32, _ sender: Address, _ peer: Peer) {
        peer.streams[number] = nil
        if let refusal = stream.refusal {
            discard(stream)
            return answer(peer, .refused(stream: number, refusal))
        }
        guard let file = stream.file else { return store(stream, nil, number, sender, peer) }
        stream.file = nil
        files.finish(file) { [weak self, weak peer] result in
            guard let self, let peer else { return }
            switch result {
            case .success(let content): store(stream, content, number, sender, peer)
            case .failure(let error):
                log("queue: warning: a message could not be kept: \(error)")
                answer(peer, .refused(stream: number, .writeErrorOrDiskFull))
            }
        }
    }

    private func store(_ stream: Stream, _ content: ContentReference?, _ number: UInt32, _ sender: Address, _ peer: Peer) {
        let bytes = stream.content
        let incoming = QueueManager.Incoming(
            id: stream.id, qp: stream.qp, uid: peer.identity.uid, sender: sender, recipients: stream.recipients,
            content: content.map { .stored($0) } ?? .bytes(bytes))
        stream.content = []
        queue.accept(incoming) { [weak self, weak peer] verdict in
            self?.held -= bytes.count
            guard let self, let peer else { return }
            switch verdict {
            case .accepted(let time): answer(peer, .accepted(stream: number, id: stream.id, qp: stream.qp, time: time))
            case .refused: answer(peer, .refused(stream: number, .writeErrorOrDiskFull))
            // Nobody knows: neither yes nor no may be said.
            case .unknown: peer.frames?.close()
            }
        }
    }

    private func answer(_ peer: Peer, _ answer: InjectAnswer) { peer.frames?.send { answer.encode(into: &$0) } }
}
