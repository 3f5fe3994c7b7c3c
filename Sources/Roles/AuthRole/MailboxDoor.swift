private import Authentication
internal import Boundaries
internal import Frames
internal import Posix

/// `run/mailbox`: access shows the ticket of a login and brings the client's descriptor; lspawn is told whose mailbox to open on it. Without answer: when nothing
/// comes of it, the descriptor closes.
final class MailboxDoor {
    private let loop: EventLoop
    private let tickets: TicketOffice
    private let spawner: SpawnerLine
    private var peers: [ObjectIdentifier: PacketPeer] = [:]

    static let maxPeers = 1024
    /// For the one packet of a connection.
    private static let patienceSeconds = 10.0

    init(on loop: EventLoop, _ tickets: TicketOffice, _ spawner: SpawnerLine) {
        self.loop = loop
        self.tickets = tickets
        self.spawner = spawner
    }

    func accept(_ connection: consuming FileDescriptor) {
        guard peers.count < Self.maxPeers else { return log("auth: mailbox: too many connections; one more was turned away") }
        let holder = Holder()
        do throws(SystemError) {
            let peer = try PacketPeer(connection, on: loop) { [weak self] (frame, descriptor) throws(FrameError) in
                let opening = try Mailbox.Opening(frame)
                guard let descriptor else { throw .malformed(frame.type) }
                self?.open(opening, descriptor)
                holder.peer?.close()
            } onClose: { [weak self] reason in
                if let reason { log("auth: mailbox: \(reason); connection dropped") }
                if let peer = holder.peer { self?.peers[ObjectIdentifier(peer)] = nil }
                holder.peer = nil
            }
            holder.peer = peer
            peers[ObjectIdentifier(peer)] = peer
            loop.after(seconds: Self.patienceSeconds) { [weak peer] in peer?.close() }
        } catch {
            log("auth: mailbox: \(error)")
        }
    }

    private func open(_ opening: Mailbox.Opening, _ descriptor: consuming FileDescriptor) {
        guard let (who, service) = tickets.redeem(opening.ticket) else { return log("auth: mailbox: a ticket that is not good (any more)") }
        let order = Mailbox.Order.open(
            service, uid: who.uid, gid: who.gid, isConfined: who.isConfined, user: who.account[...], home: who.home[...], mailbox: who.mailbox[...])
        if !spawner.order(order, descriptor) { log("auth: mailbox of \(logsafe(who.account)): lspawn is not there") }
    }

    /// The peer of callbacks that were made before it.
    private final class Holder { var peer: PacketPeer? }
}
