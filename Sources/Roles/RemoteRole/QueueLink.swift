private import Boundaries
internal import Frames
internal import Posix

/// The connection to the queue, made again when it is lost. Answers to deliveries of a lost connection are dropped: the queue has taken them back.
final class QueueLink {
    /// The queue itself keeps to `concurrencyremote`; this only bounds what one process holds.
    private static let maxCapacity = 1000

    private let loop: EventLoop
    private let capacity: UInt32
    private let onDelivery: (Delivery.Request, consuming FileDescriptor?, _ connection: UInt64) -> Void
    private var peer: PacketPeer?
    private var reconnection: Reconnection?
    /// Which connection this is; counts up.
    private(set) var connection: UInt64 = 0

    init(on loop: EventLoop, _ onDelivery: @escaping (Delivery.Request, consuming FileDescriptor?, _ connection: UInt64) -> Void) {
        self.loop = loop
        capacity = UInt32(min(Self.maxCapacity, DescriptorBudget.deliveries()))
        self.onDelivery = onDelivery
        reconnection = Reconnection(on: loop) { [unowned self] in try connect() }
    }

    func start() { reconnection?.attempt() }

    func answer(_ outcome: Errand.Outcome) {
        guard outcome.ticket.connection == connection else { return }
        peer?.send(Delivery.Answer.reports(slot: outcome.ticket.slot, outcome.reports).encode())
    }

    private func connect() throws {
        connection += 1
        let number = connection
        let peer = try PacketPeer(
            Boundary.deliverRemote.connect(), on: loop,
            onFrame: { [weak self] (frame, descriptor) throws(FrameError) in
                let request = try Delivery.Request(frame)
                self?.reconnection?.succeeded()
                self?.onDelivery(request, descriptor, number)
            },
            onClose: { [weak self] in self?.lost($0) })
        self.peer = peer
        peer.send(Delivery.Answer.ready(capacity: capacity).encode())
    }

    private func lost(_ error: FrameError?) {
        if let error { log("warning: remote: the queue sent a bad frame: \(error)") }
        connection += 1
        peer = nil
        reconnection?.retryLater()
    }
}
