internal import Boundaries
internal import Frames
private import Glibc
internal import Posix

/// The queue's side of `run/admin`: what it holds, and what administrators do to it. Everybody who may enter the socket's directory may look at
/// envelopes; only root and the queue's own account may change the queue or read messages.
final class AdminDoor {
    /// A request that is answered in pieces.
    private enum Work {
        case listing(AdminListing)
        case exhibit(AdminExhibit)
        case action(Administration)
    }

    private final class Peer {
        var frames: FramePeer?
        var requests: [Admin.Request] = []
        var work: Work?
        var progressDue: UInt64 = 0
        /// Before the next look at a client that does not read.
        var patience = AdminDoor.pauseSeconds
        let uid: UInt32?

        init(uid: UInt32?) { self.uid = uid }

        var mayManage: Bool { uid == 0 || uid == getuid() }
    }

    private let loop: EventLoop
    private let queue: QueueManager
    /// Reads again who is local and what domains are virtual; says what is wrong with the files.
    private let reread: () -> String?
    private var peers: [ObjectIdentifier: Peer] = [:]

    /// Answers go on when the client has taken what it was sent, so that a queue of a million costs no memory.
    private static let unsentLimit = 1 << 18
    fileprivate static let pauseSeconds = 0.002
    private static let longestPauseSeconds = 0.5
    private static let progressNanoseconds: UInt64 = 200_000_000
    private static let maxRequests = 64
    private static let maxPeers = 64
    private static let notAllowed = "only root and the account of the queue may do this: run it as root"

    init(on loop: EventLoop, _ queue: QueueManager, reread: @escaping () -> String?) {
        self.loop = loop
        self.queue = queue
        self.reread = reread
    }

    func accept(_ connection: consuming FileDescriptor) {
        guard peers.count < Self.maxPeers else { return log("queue: an administrator's connection was turned away: there are too many") }
        let peer = Peer(uid: PeerIdentity(of: connection)?.uid)
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
            guard let frames = peer.frames, frames.unsent <= Self.unsentLimit else {
                peer.patience = min(2 * peer.patience, Self.longestPauseSeconds)
                return serveLater(peer, after: peer.patience)
            }
            peer.patience = Self.pauseSeconds
            if peer.work == nil { begin(request, peer, frames) }
            guard goOn(peer, frames) else { return serveLater(peer, after: Self.pauseSeconds) }
            peer.work = nil
            send(.end, to: frames)
            peer.requests.removeFirst()
        }
    }

    private func serveLater(_ peer: Peer, after seconds: Double) {
        loop.after(seconds: seconds) { [weak self, weak peer] in
            guard let self, let peer, peers[ObjectIdentifier(peer)] != nil else { return }
            serve(peer)
        }
    }

    private func send(_ answer: Admin.Answer, to frames: FramePeer) { frames.send { answer.encode(into: &$0) } }

    // MARK: Requests

    private func begin(_ request: Admin.Request, _ peer: Peer, _ frames: FramePeer) {
        switch request {
        case .counts: send(.counts(counts()), to: frames)
        case .list(let selection): peer.work = .listing(AdminListing(queue, selection, .open))
        case .preview(let selection): peer.work = .listing(AdminListing(queue, selection, .removable))
        case .show(let id, let bytes):
            guard bytes == 0 || peer.mayManage else { return send(.refused(Array(Self.notAllowed.utf8)), to: frames) }
            guard let exhibit = AdminExhibit(queue, id, contentBytes: bytes) else { return send(.missing(id), to: frames) }
            peer.work = .exhibit(exhibit)
        case .act(let action, let selection): begin(action, selection, peer, frames)
        }
    }

    private func begin(_ action: Admin.Action, _ selection: Admin.Selection, _ peer: Peer, _ frames: FramePeer) {
        guard peer.mayManage, let uid = peer.uid else { return send(.refused(Array(Self.notAllowed.utf8)), to: frames) }
        if action == .reroute, let problem = reread() { return send(.refused(Array(problem.utf8)), to: frames) }
        peer.work = .action(Administration(queue, action, selection, uid: uid))
    }

    /// - Returns: whether the request is answered, but for its end.
    private func goOn(_ peer: Peer, _ frames: FramePeer) -> Bool {
        switch peer.work {
        case nil: return true
        case .listing(let listing): return listing.step({ send($0, to: frames) }, while: { frames.unsent <= Self.unsentLimit })
        case .exhibit(let exhibit): return exhibit.step({ send($0, to: frames) }, while: { frames.unsent <= Self.unsentLimit })
        case .action(let action): return goOn(action, peer, frames)
        }
    }

    private func goOn(_ action: Administration, _ peer: Peer, _ frames: FramePeer) -> Bool {
        if !action.isDone { action.step() }
        for id in action.missing { send(.missing(id), to: frames) }
        action.missing = []
        let now = monotonicNanoseconds()
        guard action.isDone || now >= peer.progressDue else { return false }
        peer.progressDue = now + Self.progressNanoseconds
        send(.progress(action.progress), to: frames)
        if action.isDone, let refusal = action.refusal { send(.refused(Array(refusal.utf8)), to: frames) }
        return action.isDone
    }

    private func counts() -> Admin.Counts {
        let index = queue.index
        return Admin.Counts(
            messages: UInt64(max(0, index.messages.count - queue.endingCount)), waitingLocal: UInt64(max(0, index.pendingLocal)),
            waitingRemote: UInt64(max(0, index.pendingRemote)))
    }
}
