/// How long a client may take: a machine of its own beside ``Session``, in seconds of a clock that never jumps.
///
/// A command's time begins with the last one handled, not with the last byte; data buys time by coming (as Postfix's minimum data rate does); and the
/// whole transaction has an end. So neither silence nor one byte every ten seconds holds a connection for ever.
package struct Deadlines: Sendable {
    package struct Limits: Equatable, Sendable {
        /// For the next command, and for the next data of a message that was fast enough so far. `control/timeoutsmtpd`.
        package var command: Double = 1200
        /// From MAIL to the end of its message.
        package var transaction: Double = 3600
        /// Bytes a second, on the average beyond ``command``.
        package var minimumRate: Double = 500
        /// For the queue's answer.
        package var answer: Double = 300
        package init() {}
    }

    package enum Expiry: Sendable {
        /// The client is too slow.
        case client
        /// Route or queue gave no answer.
        case answer
    }

    /// How far a session has come.
    package struct Progress: Sendable {
        package var phase: Session.Phase
        /// Commands handled so far.
        package var commands: UInt64
        package var isInTransaction: Bool
        /// Transactions begun so far.
        package var transactions: UInt64

        package init(phase: Session.Phase, commands: UInt64, isInTransaction: Bool, transactions: UInt64) {
            self.phase = phase
            self.commands = commands
            self.isInTransaction = isInTransaction
            self.transactions = transactions
        }
    }

    private let limits: Limits
    private var phase = Session.Phase.command
    private var commands: UInt64 = 0
    private var transactions: UInt64 = 0
    private var due: Double
    private var transactionDue: Double?

    package init(_ limits: Limits, now: Double) {
        self.limits = limits
        due = now + limits.command
    }

    /// Call after each event of a session.
    /// - Parameter received: bytes that came with it.
    package mutating func update(_ session: Progress, received: Int, now: Double) {
        let phase = session.phase
        if session.isInTransaction {
            if transactionDue == nil || session.transactions != transactions { transactionDue = now + limits.transaction }
            transactions = session.transactions
        } else {
            transactionDue = nil
        }
        if phase != self.phase || session.commands != commands {
            due = now + (phase == .waiting || phase == .login ? limits.answer : limits.command)
        } else if phase == .message {
            due = min(due + Double(received) / limits.minimumRate, now + limits.command)
        }
        self.phase = phase
        commands = session.commands
    }

    package func expired(now: Double) -> Expiry? {
        switch phase {
        case .closed: nil
        case .waiting, .login: now >= due ? .answer : nil
        case .command, .message: now >= due || now >= transactionDue ?? .infinity ? .client : nil
        }
    }
}
