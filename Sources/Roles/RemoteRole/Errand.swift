internal import Addresses
internal import ClientTLS
internal import Frames
internal import RemoteDelivery

/// Where a connection leads: deliveries with equal destinations may share one.
enum Destination: Hashable, Sendable {
    /// The exchangers of this domain, in lower case.
    case domain([UInt8])
    case relay(Relay)

    var relay: Relay? { if case .relay(let relay) = self { relay } else { nil } }
}

/// One delivery on its way to the event loop.
struct Errand: Sendable {
    /// Names the delivery to the queue, on the connection of that number.
    struct Ticket: Hashable, Sendable {
        let slot: UInt32
        let connection: UInt64
    }

    /// What goes back.
    struct Outcome: Sendable {
        let ticket: Ticket
        let reports: [DeliveryReport]
    }

    let ticket: Ticket
    let destination: Destination
    let plan: ConnectionPlan
    let sender: Address
    let recipients: [Address]
    let content: MessageContent
    let heloHost: [UInt8]
    /// Seconds.
    let connectTimeout: Int64
    let remoteTimeout: Int64
    /// For the plan's login.
    let password: [UInt8]
    let authorities: TrustedAuthorities

    func outcome(_ report: DeliveryReport) -> Outcome { Outcome(ticket: ticket, reports: recipients.map { _ in report }) }
}
