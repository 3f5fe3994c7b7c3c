/// How a transaction ended: what the server said of each recipient, in order, then of the message (spec-qmail §14.1).
package struct TransactionReport: Equatable, Sendable {
    package enum Answer: Equatable, Sendable {
        /// RCPT was not answered: `message` says why.
        case none
        case accepted
        case refused(RecipientReport)
        /// Never offered to the server, whatever became of the others.
        case excluded(RecipientReport)
    }

    package let recipients: [Answer]
    package let message: RecipientReport

    init(_ recipients: [Answer], _ message: RecipientReport) {
        self.recipients = recipients
        self.message = message
    }

    /// One report for each recipient, as qmail-rspawn makes it of the two.
    package var combined: [RecipientReport] {
        recipients.map { answer in
            switch answer {
            case .none, .accepted: message
            case .refused(let report): report.followed(by: message)
            case .excluded(let report): report
            }
        }
    }
}
