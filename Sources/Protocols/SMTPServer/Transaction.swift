internal import Addresses

/// What MAIL began and RCPT goes on. A reference, so that a list of many recipients grows in place; its one owner is a session, which cannot be copied.
final class Transaction {
    let sender: Address
    /// In badmailfrom: said at each RCPT only (spec-qmail §24.13).
    let isBadSender: Bool
    /// RFC 6531: addresses may hold UTF-8.
    let isUTF8: Bool
    private(set) var recipients: [Address] = []
    /// What is left of the account's share.
    var allowedRecipients = Int.max

    init(sender: Address, isBadSender: Bool, isUTF8: Bool) {
        self.sender = sender
        self.isBadSender = isBadSender
        self.isUTF8 = isUTF8
    }

    func add(_ recipient: Address) { recipients.append(recipient) }

    var envelope: Envelope { Envelope(sender: sender, recipients: recipients) }
}
