internal import RemoteDelivery
internal import SMTPClient

/// An errand on the event loop: how far its content has been looked at, which addresses are left for it, how far it has been sent.
final class Outgoing {
    let errand: Errand
    private(set) var transaction: MailTransaction
    private var offset = 0
    private(set) var isSurveyed = false
    /// Those of its plan that are left, in order.
    private var attempts: ArraySlice<ConnectionPlan.Attempt> = []
    private var attemptsMade = 0
    /// Hosts where TLS did not come about: they get nothing in clear, whatever they offer at another address.
    private var distrusted: Set<[UInt8]> = []
    /// What the last connection said that could not be what it must be.
    private(set) var passedOn: [RecipientReport]?
    /// A small message is read once and kept.
    private var whole: [UInt8]?

    init(_ errand: Errand) {
        self.errand = errand
        transaction = MailTransaction(sender: errand.sender, recipients: errand.recipients, content: ContentSummary())
    }

    // MARK: Addresses

    func begin(_ attempts: [ConnectionPlan.Attempt]) {
        self.attempts = attempts[...]
        attemptsMade = 0
        passedOn = nil
        distrusted = []
    }

    /// Nil when all, or so many, have been tried.
    func nextAttempt(limit: Int, skipping isSkipped: (ConnectionPlan.Attempt) -> Bool) -> ConnectionPlan.Attempt? {
        attempts = attempts.drop(while: isSkipped)
        guard attemptsMade < limit else { return nil }
        attemptsMade += 1
        return attempts.popFirst()
    }

    /// The connection of this attempt cannot be what it must be.
    func pass(on attempt: ConnectionPlan.Attempt, _ reports: [RecipientReport]) {
        passedOn = reports
        distrusted.insert(attempt.host)
    }

    /// What a connection must be before mail goes over it.
    func demand(_ attempt: ConnectionPlan.Attempt) -> ConnectionDemand {
        let tls: ConnectionDemand.TLS =
            switch attempt.security {
            case .none: .never
            case .may: distrusted.contains(attempt.host) ? .always : .ifOffered
            case .encrypt, .verify: .always
            }
        let login = errand.plan.login.map { RelayLogin(user: $0.user, password: errand.password) }
        return ConnectionDemand(tls: tls, beginsWithTLS: attempt.beginsWithTLS, login: login)
    }

    // MARK: Content

    /// - Returns: false when the content cannot be read.
    func surveyNextPiece() -> Bool {
        guard let piece = errand.content.piece(at: offset) else { return false }
        transaction.content.add(piece[...])
        if piece.count == errand.content.size { whole = piece }
        offset += piece.count
        guard offset >= errand.content.size else { return true }
        isSurveyed = true
        offset = 0
        return true
    }

    /// The next piece to send; nil when it cannot be read.
    func nextPiece() -> (bytes: [UInt8], isLast: Bool)? {
        guard let piece = whole ?? errand.content.piece(at: offset) else { return nil }
        offset += piece.count
        return (piece, offset >= errand.content.size)
    }

    /// From the beginning, on another connection.
    func rewind() { offset = 0 }
}
