internal import Authentication
internal import Boundaries
internal import Frames
private import Glibc
internal import Posix

/// `run/auth-admin`: who is refused, and the administrator's word on it. Everybody who may enter the socket's directory may look; only root and auth's own
/// account may change anything.
final class AuthAdminDoor {
    private final class Peer {
        var frames: FramePeer?
        let uid: UInt32?
        init(uid: UInt32?) { self.uid = uid }
    }

    private let loop: EventLoop
    private let gate: Gate
    private var peers: [ObjectIdentifier: Peer] = [:]

    private static let maxPeers = 16
    /// What stands behind them is told of by their number only.
    static let maxListed = 10_000
    private static let unsentLimit = 1 << 20

    init(on loop: EventLoop, _ gate: Gate) {
        self.loop = loop
        self.gate = gate
    }

    func accept(_ connection: consuming FileDescriptor) {
        guard peers.count < Self.maxPeers else { return log("auth: an administrator's connection was turned away: there are too many") }
        let peer = Peer(uid: PeerIdentity(of: connection)?.uid)
        do throws(SystemError) {
            peer.frames = try FramePeer(connection, on: loop, maxLength: AuthAdmin.Request.maxLength) {
                [weak self, weak peer] (frame) throws(FrameError) in
                let request = try AuthAdmin.Request(frame)
                if let self, let peer { answer(request, peer) }
            } onClose: { [weak self, weak peer] _ in
                if let peer { self?.peers[ObjectIdentifier(peer)] = nil }
            }
            peer.frames?.unsentLimit = Self.unsentLimit
            peers[ObjectIdentifier(peer)] = peer
        } catch {
            log("auth: an administrator's connection could not be taken on: \(error)")
        }
    }

    private func answer(_ request: AuthAdmin.Request, _ peer: Peer) {
        guard case .list = request else { return peer.frames?.send(change(request, peer).encode) ?? () }
        let listed = gate.throttle.list(now: gate.now)
        for found in listed.prefix(Self.maxListed) {
            let entry = AuthAdmin.Entry(subject: AuthAdmin.Subject(found.subject), failures: found.failures, refusedFor: found.refusedFor)
            peer.frames?.send(AuthAdmin.Answer.entry(entry).encode)
        }
        peer.frames?.send(AuthAdmin.Answer.end.encode)
    }

    private func change(_ request: AuthAdmin.Request, _ peer: Peer) -> AuthAdmin.Answer {
        guard peer.uid == 0 || peer.uid == getuid() else { return .refused }
        switch request {
        case .list: return .end
        case .ban(let subject, let seconds):
            guard let subject = Throttle.Subject(subject) else { return .unknown }
            log("auth: uid \(peer.uid ?? 0) bans \(subject)")
            gate.throttle.ban(subject, for: seconds == 0 ? nil : UInt64(seconds), now: gate.now)
            return .end
        case .release(let subject):
            guard let subject = Throttle.Subject(subject), gate.throttle.release(subject) else { return .unknown }
            log("auth: uid \(peer.uid ?? 0) releases \(subject)")
            return .end
        }
    }
}

extension AuthAdmin.Subject {
    init(_ subject: Throttle.Subject) {
        switch subject {
        case .address(let bytes), .network(let bytes): self = .network(Self.padded(bytes), bits: UInt8(clamping: bytes.count * 8))
        case .account(let name): self = .account(name)
        case .familiar(let account, let network):
            self = .familiar(account: account, network: Self.padded(network), bits: UInt8(clamping: network.count * 8))
        }
    }

    /// IPv4 is counted by 3 or 4 bytes, IPv6 by 6 or 8.
    private static func padded(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: (bytes.count <= 4 ? 4 : 16) - bytes.count)
    }
}

extension Throttle.Subject {
    /// Nil for a prefix that nothing is counted by.
    init?(_ subject: AuthAdmin.Subject) {
        switch subject {
        case .account(let name): self = .account(name.isEmpty ? [] : name)
        case .familiar(let account, let network, let bits): self = .familiar(account: account, network: Array(network.prefix(Int(bits) / 8)))
        case .network(let address, let bits):
            switch (address.count, bits) {
            case (4, 32), (16, 128), (16, 64): self.init(address: address[...])
            case (4, 24), (16, 48): self.init(networkOf: address[...])
            default: return nil
            }
        }
    }
}
