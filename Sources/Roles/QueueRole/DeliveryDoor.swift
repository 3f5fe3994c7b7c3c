internal import Addresses
internal import Boundaries
internal import Frames
internal import Posix

/// The queue's side of `run/deliver-local` or `run/deliver-remote`: hands requests to whoever takes them and brings the reports back. A peer that goes
/// away, or breaks the protocol, has deferred all it was given.
final class DeliveryDoor {
    typealias Completion = ([DeliveryReport]) -> Void

    private final class Peer {
        var packets: PacketPeer?
        var capacity = 0
        var slots: [UInt32: (recipients: Int, completion: Completion)] = [:]

        var room: Int { max(0, capacity - slots.count) }
    }

    private let loop: EventLoop
    private let roomChanged: () -> Void
    private var peers: [Peer] = []
    private var lastSlot: UInt32 = 0

    /// Deliveries one peer may say it takes, at most.
    private static let maxCapacity = 1 << 20
    private static let lostText = "The process that was delivering this died before it could report. (#4.3.0)\n"

    init(on loop: EventLoop, roomChanged: @escaping () -> Void) {
        self.loop = loop
        self.roomChanged = roomChanged
    }

    /// Deliveries that would be taken now.
    var room: Int { peers.reduce(0) { $0 + $1.room } }

    func accept(_ connection: consuming FileDescriptor) {
        let peer = Peer()
        do throws(SystemError) {
            peer.packets = try PacketPeer(
                connection, on: loop,
                onFrame: { [weak self, weak peer] (frame, _) throws(FrameError) in
                    guard let self, let peer else { return }
                    try handle(try Delivery.Answer(frame), from: peer)
                },
                onClose: { [weak self, weak peer] reason in
                    guard let self, let peer else { return }
                    lost(peer, reason)
                })
            peers.append(peer)
        } catch {
            log("queue: a delivery process could not be taken on: \(error)")
        }
    }

    /// Only while there is ``room``.
    func start(
        host: [UInt8], relay: ArraySlice<UInt8>, sender: Address, recipients: [Address], _ message: PacketPeer.Attachment,
        _ completion: @escaping Completion
    ) {
        guard let peer = peers.max(by: { $0.room < $1.room }), peer.room > 0 else {
            return completion(recipients.map { _ in DeliveryReport(.deferred, Self.lostText) })
        }
        repeat { lastSlot &+= 1 } while peer.slots[lastSlot] != nil
        peer.slots[lastSlot] = (recipients.count, completion)
        let request = Delivery.Request(slot: lastSlot, host: host[...], relay: relay, sender: sender, recipients: recipients)
        peer.packets?.send(request.encode(), message)
    }

    private func handle(_ answer: Delivery.Answer, from peer: Peer) throws(FrameError) {
        switch answer {
        case .ready(let capacity): peer.capacity = min(Int(capacity), Self.maxCapacity)
        case .reports(let number, let reports):
            // A report for nothing, or for other recipients than asked, is no honest peer's.
            guard let slot = peer.slots[number], slot.recipients == reports.count else { throw .malformed(66) }
            peer.slots[number] = nil
            slot.completion(reports)
        }
        roomChanged()
    }

    private func lost(_ peer: Peer, _ reason: FrameError?) {
        if let reason { log("queue: alert: a delivery process broke the protocol and was dropped: \(reason)") }
        peers.removeAll { $0 === peer }
        let slots = peer.slots.sorted { $0.key < $1.key }
        peer.slots = [:]
        for (_, slot) in slots {
            slot.completion((0..<slot.recipients).map { _ in DeliveryReport(.deferred, Self.lostText) })
        }
        roomChanged()
    }
}
