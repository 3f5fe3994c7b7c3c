internal import Authentication
internal import Frames
private import Posix

/// What a login for mail is shown as: good once, for a short time.
final class TicketOffice {
    private struct Ticket {
        let identity: VerifiedAccount
        let service: Login.Service
        let until: UInt64
    }

    /// From the login to the request for the mailbox, in nanoseconds.
    static let lifetime: UInt64 = 30_000_000_000
    /// More logins than this within a lifetime get no mailbox.
    static let maxTickets = 10_000

    private var tickets: [[UInt8]: Ticket] = [:]

    /// - Returns: nil when there are too many.
    func issue(_ identity: VerifiedAccount, _ service: Login.Service) -> [UInt8]? {
        let now = monotonicNanoseconds()
        if tickets.count >= Self.maxTickets { tickets = tickets.filter { $0.value.until > now } }
        guard tickets.count < Self.maxTickets else { return nil }
        let number = randomBytes(Mailbox.Opening.ticketBytes)
        tickets[number] = Ticket(identity: identity, service: service, until: now &+ Self.lifetime)
        return number
    }

    func redeem(_ number: ArraySlice<UInt8>) -> (identity: VerifiedAccount, service: Login.Service)? {
        guard let ticket = tickets.removeValue(forKey: Array(number)), ticket.until > monotonicNanoseconds() else { return nil }
        return (ticket.identity, ticket.service)
    }
}
