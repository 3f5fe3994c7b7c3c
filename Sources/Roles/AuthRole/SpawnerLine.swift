internal import Boundaries
internal import Frames
internal import Posix

/// `run/opening`: lspawn connects and takes orders. It has nothing to say.
final class SpawnerLine {
    private let loop: EventLoop
    private var peers: [ObjectIdentifier: PacketPeer] = [:]
    /// Who connected last: there is one lspawn.
    private weak var latest: PacketPeer?

    init(on loop: EventLoop) { self.loop = loop }

    func accept(_ connection: consuming FileDescriptor) {
        let holder = Holder()
        do throws(SystemError) {
            let peer = try PacketPeer(connection, on: loop) { (frame, _) throws(FrameError) in
                throw .unknownType(frame.type)
            } onClose: { [weak self] reason in
                if let reason { log("auth: opening: \(reason); connection dropped") }
                if let peer = holder.peer { self?.peers[ObjectIdentifier(peer)] = nil }
                holder.peer = nil
            }
            holder.peer = peer
            peers[ObjectIdentifier(peer)] = peer
            latest = peer
        } catch {
            log("auth: opening: \(error)")
        }
    }

    /// - Returns: false when lspawn is not there, or has enough to read; the descriptor is closed then.
    func order(_ order: Mailbox.Order, _ descriptor: consuming FileDescriptor) -> Bool {
        guard let latest, !latest.isBlocked else { return false }
        latest.send(order.encode(), PacketPeer.Attachment(descriptor))
        return true
    }

    /// The peer of callbacks that were made before it.
    private final class Holder { var peer: PacketPeer? }
}
