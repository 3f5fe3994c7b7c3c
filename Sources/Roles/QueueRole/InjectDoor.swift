internal import Addresses
internal import Boundaries
internal import Bytes
internal import Frames
internal import JournalFormat
internal import Posix
internal import QueueStore

/// The queue's side of `run/inject`: any number of clients, each with any number of messages under way. What a client has not committed leaves
/// nothing behind.
final class InjectDoor {
    private let loop: EventLoop
    private let queue: QueueManager
    private let files: ContentFiles
    private let trustedNetworkUID: UInt32
    private let budgets: IntakeBudgets
    private var peers: [ObjectIdentifier: Peer] = [:]
    /// Those that wait for the disk.
    private var paused: [ObjectIdentifier: Peer] = [:]
    private var resumeIsDue = false
    /// Commits without their answer.
    private var unanswered = 0
    private var warnedAt: UInt64 = 0

    /// When memory is short, messages larger than this go to files of their own; and a file is written in pieces of about this.
    private static let pieceBytes = 1 << 16
    /// A client whose messages wait for the disk with more than this is not read from.
    private static let unwrittenBudget = 16 << 20
    /// Messages under way on one connection: smtpd has one for thousands of sessions, a program needs a few.
    private static let maxNetworkStreams = 100_000
    private static let maxStreams = 1000
    /// What a message under way costs beside its bytes, about.
    private static let streamBytes = 512
    /// Answers that a client does not take.
    private static let unsentLimit = 1 << 20
    /// RFC 5321 has no bound for the recipients of local programs; this is what fits the log with room to spare.
    private static let maxRecipientBytes = 48 << 20
    /// Recipients are spread out in memory for a moment when the message is stored.
    private static let maxRecipients = 2_000_000
    private static let warningPauseSeconds: UInt64 = 60

    private final class Peer {
        let identity: PeerIdentity
        let budget: IntakeBudget
        var frames: FramePeer?
        var isNetwork = false
        var streams: [UInt32: Stream] = [:]
        var unwritten = 0
        var isPaused = false

        init(_ identity: PeerIdentity, _ budget: IntakeBudget) {
            self.identity = identity
            self.budget = budget
        }

        func answer(_ answer: InjectAnswer) { frames?.send { answer.encode(into: &$0) } }
    }

    /// One message being received.
    private final class Stream {
        let id: UInt64
        let qp: UInt64
        let budget: IntakeBudget
        var content: [UInt8] = []
        var file: ContentFiles.Incoming?
        /// Counted addresses, one behind the other.
        var recipients: [UInt8] = []
        var recipientCount = 0
        var refusal: QueueRefusal?
        /// What the budget counts for this message, without what is being written to its file.
        private(set) var held = 0

        init(id: UInt64, qp: UInt64, _ budget: IntakeBudget) {
            self.id = id
            self.qp = qp
            self.budget = budget
        }

        func hold(_ bytes: Int) {
            held += bytes
            budget.hold(bytes)
        }

        /// The content for its file; the budget counts it as draining from now on.
        func takeContent() -> [UInt8] {
            defer { content = [] }
            held -= content.count
            budget.beginDraining(content.count)
            return content
        }

        /// The budget counts nothing for this message any more.
        func release() {
            budget.release(held)
            held = 0
            (content, recipients) = ([], [])
        }

        var addresses: [Address] {
            var result: [Address] = []
            result.reserveCapacity(recipientCount)
            var reader = ByteReader(recipients[...])
            while let address = reader.address() { result.append(address) }
            return result
        }
    }

    /// - Parameter trustedNetworkUID: of smtpd, whose word is taken that mail came from the network.
    init(on loop: EventLoop, _ queue: QueueManager, _ files: ContentFiles, trustedNetworkUID: UInt32) {
        self.loop = loop
        self.queue = queue
        self.files = files
        self.trustedNetworkUID = trustedNetworkUID
        budgets = IntakeBudgets(networkUID: trustedNetworkUID)
    }

    var isIdle: Bool { unanswered == 0 && peers.values.allSatisfy { $0.streams.isEmpty } }

    func accept(_ connection: consuming FileDescriptor) {
        guard let identity = PeerIdentity(of: connection) else { return }
        let budget = budgets[identity.uid]
        guard budget.takeConnection() else { return warn("a client of uid \(identity.uid) was turned away: too many connections") }
        let peer = Peer(identity, budget)
        do throws(SystemError) {
            let frames = try FramePeer(
                connection, on: loop, maxLength: InjectRequest.maxLength,
                onFrame: { [weak self, weak peer] (frame) throws(FrameError) in
                    guard let self, let peer else { return }
                    try handle(try InjectRequest(frame), from: peer)
                },
                onClose: { [weak self, weak peer] reason in
                    guard let self, let peer else { return }
                    lost(peer, reason)
                })
            frames.unsentLimit = Self.unsentLimit
            peer.frames = frames
            peers[ObjectIdentifier(peer)] = peer
        } catch {
            budget.giveBackConnection()
            warn("a client could not be taken on: \(error)")
        }
    }

    private func warn(_ problem: String) {
        let now = unixTime()
        guard now >= warnedAt + Self.warningPauseSeconds else { return }
        warnedAt = now
        log("queue: warning: \(problem)")
    }

    private func lost(_ peer: Peer, _ reason: FrameError?) {
        if let reason { log("queue: dropped a client of uid \(peer.identity.uid) that broke the protocol: \(reason)") }
        peers[ObjectIdentifier(peer)] = nil
        paused[ObjectIdentifier(peer)] = nil
        for stream in peer.streams.values { discard(stream) }
        peer.streams = [:]
        peer.budget.giveBackConnection()
        budgets.forget(peer.identity.uid)
    }

    private func discard(_ stream: Stream) {
        stream.release()
        guard let file = stream.file else { return }
        stream.file = nil
        files.abort(file)
        stream.budget.giveBackFile()
    }

    /// Nothing of the message is kept; its client hears of it at the commit.
    private func refuse(_ stream: Stream, _ refusal: QueueRefusal) {
        discard(stream)
        stream.refusal = refusal
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
        guard peer.streams.count < (peer.isNetwork ? Self.maxNetworkStreams : Self.maxStreams) else { throw .malformed(2) }
        let id = queue.takeID()
        let qp = peer.isNetwork ? id : UInt64(max(0, peer.identity.pid))
        let stream = Stream(id: id, qp: qp, peer.budget)
        peer.streams[number] = stream
        guard !peer.budget.isFull else {
            refuse(stream, .outOfMemory)
            return stream
        }
        stream.content = queue.receivedLine(qp: qp, uid: peer.identity.uid, isNetwork: peer.isNetwork)
        stream.hold(Self.streamBytes + stream.content.count)
        return stream
    }

    private func append(_ bytes: ArraySlice<UInt8>, to stream: Stream, _ peer: Peer) {
        guard stream.refusal == nil else { return }
        stream.content.append(contentsOf: bytes)
        stream.hold(bytes.count)
        let limit = stream.file != nil || stream.budget.isShort ? min(Self.pieceBytes, queue.maxInlineBytes) : queue.maxInlineBytes
        // Without a descriptor for it the message waits in memory; others are being written, and give theirs back.
        if stream.content.count > limit, stream.file != nil || stream.budget.takeFile() { spill(stream, peer) }
        refuseIfFull(stream)
    }

    /// Memory that the disk takes by itself comes back; what only clients could end must not grow.
    private func refuseIfFull(_ stream: Stream) {
        if stream.budget.isFull, stream.held > 0 {
            warn("memory for incoming mail is used up: messages are refused for now")
            refuse(stream, .outOfMemory)
        }
    }

    private func spill(_ stream: Stream, _ peer: Peer) {
        let file = stream.file ?? files.begin(stream.id)
        stream.file = file
        let bytes = stream.takeContent()
        let (budget, count) = (stream.budget, bytes.count)
        peer.unwritten += count
        files.append(bytes, to: file) { [weak self, weak peer] in
            budget.endDraining(count)
            peer?.unwritten -= count
            self?.resumeSoon()
        }
        pauseIfNeeded(peer)
    }

    private func append(_ recipients: [Address], to stream: Stream) {
        guard stream.refusal == nil else { return }
        let before = stream.recipients.count
        for recipient in recipients { stream.recipients.append(counted: recipient.bytes) }
        stream.recipientCount += recipients.count
        stream.hold(stream.recipients.count - before)
        // The log needs a byte more for each.
        guard stream.recipients.count + stream.recipientCount <= min(Self.maxRecipientBytes, queue.maxEnvelopeBytes),
            stream.recipientCount <= Self.maxRecipients
        else { return refuse(stream, .permanentlyRejected) }
        refuseIfFull(stream)
    }

    // MARK: Waiting for the disk

    private func pauseIfNeeded(_ peer: Peer) {
        guard !peer.isPaused, peer.unwritten > Self.unwrittenBudget || peer.budget.mustWait, peers[ObjectIdentifier(peer)] != nil else { return }
        peer.isPaused = true
        paused[ObjectIdentifier(peer)] = peer
        peer.frames?.pause()
    }

    private func resumeSoon() {
        guard !paused.isEmpty, !resumeIsDue else { return }
        resumeIsDue = true
        loop.atEndOfTurn { [weak self] in
            self?.resumeIsDue = false
            self?.resumeAll()
        }
    }

    private func resumeAll() {
        for (key, peer) in paused where peer.unwritten <= Self.unwrittenBudget / 2 && peer.budget.mayGoOn {
            paused[key] = nil
            peer.isPaused = false
            peer.frames?.resume()
        }
    }

    // MARK: Commit

    private func commit(_ stream: Stream, _ number: UInt32, _ sender: Address, _ peer: Peer) {
        peer.streams[number] = nil
        if let refusal = stream.refusal {
            discard(stream)
            return peer.answer(.refused(stream: number, refusal))
        }
        unanswered += 1
        guard stream.file != nil || stream.content.count > queue.maxInlineBytes else { return store(stream, nil, number, sender, peer) }
        let isCounted = stream.file != nil
        if !stream.content.isEmpty { spill(stream, peer) }
        guard let file = stream.file else { return }
        stream.file = nil
        files.finish(file) { [weak self, weak peer] result in
            if isCounted { stream.budget.giveBackFile() }
            self?.finished(stream, result, number, sender, peer)
        }
    }

    private func finished(
        _ stream: Stream, _ result: Result<ContentReference, SystemError>, _ number: UInt32, _ sender: Address, _ peer: Peer?
    ) {
        switch result {
        case .success(let content):
            guard let peer, peers[ObjectIdentifier(peer)] != nil else {
                // Nobody is left to be told, so nobody counts on it.
                files.remove(stream.id)
                return end(stream)
            }
            store(stream, content, number, sender, peer)
        case .failure(let error):
            warn("a message could not be kept: \(error)")
            end(stream)
            peer?.answer(.refused(stream: number, .writeErrorOrDiskFull))
        }
    }

    /// The message is no longer this door's.
    private func end(_ stream: Stream) {
        stream.release()
        unanswered -= 1
    }

    private func store(_ stream: Stream, _ content: ContentReference?, _ number: UInt32, _ sender: Address, _ peer: Peer) {
        let incoming = QueueManager.Incoming(
            id: stream.id, qp: stream.qp, uid: peer.identity.uid, sender: sender, recipients: stream.addresses,
            content: content.map { .stored($0) } ?? .bytes(stream.content))
        let (budget, count) = (stream.budget, stream.held)
        (stream.content, stream.recipients) = ([], [])
        budget.beginDraining(count)
        pauseIfNeeded(peer)
        queue.accept(incoming) { [weak self, weak peer] verdict in
            budget.endDraining(count)
            self?.unanswered -= 1
            self?.resumeSoon()
            switch verdict {
            case .accepted(let time): peer?.answer(.accepted(stream: number, id: stream.id, qp: stream.qp, time: time))
            case .refused: peer?.answer(.refused(stream: number, .writeErrorOrDiskFull))
            // Nobody knows: neither yes nor no may be said.
            case .unknown: peer?.frames?.close()
            }
        }
    }
}
