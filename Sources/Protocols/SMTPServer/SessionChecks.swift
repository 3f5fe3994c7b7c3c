internal import Addresses
private import Bytes
private import Reception

/// What else may keep a recipient out: the program of RCPTCHECK, and lists of clients.
extension Session {
    /// How the program of RCPTCHECK ended.
    package enum CheckOutcome: Sendable {
        /// 0, and all that is not said otherwise.
        case accepted
        /// 100.
        case refused
        /// 111, or it did not end in time.
        case undecided
        /// 120, or it could not be run.
        case notRun
    }

    /// The recipient is one that mail could be for; RCPTCHECK has the last word.
    mutating func verify(_ recipient: Address, _ transaction: Transaction) {
        guard client.recipientCheck != nil else { return accept(recipient) }
        state = .verifying(transaction, recipient)
        actions.append(.checkRecipient(sender: transaction.sender, recipient: recipient, helo: helo))
    }

    /// Answers ``Action/checkRecipient(sender:recipient:helo:)``.
    package mutating func checkAnswered(_ outcome: CheckOutcome, _ moment: Moment) -> [Action] {
        guard case .verifying(let transaction, let recipient) = state else { return [] }
        state = .mail(transaction)
        switch outcome {
        case .accepted: accept(recipient)
        case .refused: refuse(.noMailbox)
        case .undecided: refuse(.recipientUnverified)
        case .notRun: refuse(.checkNotRun)
        }
        return goOn(moment)
    }

    /// What lists say of clients like this one, which ``awaitsLists`` waited for.
    /// - Parameter text: in the form of RBLSMTPD; nil when no list has it.
    package mutating func listsAnswered(_ text: [UInt8]?, _ moment: Moment) -> [Action] {
        awaitsLists = false
        listing = text.flatMap(Reply.init(rblsmtpd:))
        return goOn(moment)
    }
}

extension Reply {
    /// Bytes of a list's text that a client is told.
    private static let maxListText = 200

    /// rblsmtpd's answer (spec-qmail §18.3): `-TEXT` refuses for good, other text for now, none not at all.
    init?(rblsmtpd text: [UInt8]) {
        guard let first = text.first else { return nil }
        let isPermanent = first == ASCII.hyphen
        let shown = Array(text.dropFirst(isPermanent ? 1 : 0).prefix(Self.maxListText))
        self.init(isPermanent ? 553 : 451, isPermanent ? "5.7.1" : "4.7.1", lines: [shown])
    }
}
