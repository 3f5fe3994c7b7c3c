package import Addresses
private import Bytes

/// One message for some recipients at one host.
package struct MailTransaction: Equatable, Sendable {
    package var sender: Address
    package var recipients: [Address]
    package var content: ContentSummary

    package init(sender: Address, recipients: [Address], content: ContentSummary) {
        self.sender = sender
        self.recipients = recipients
        self.content = content
    }

    /// Why the whole cannot go out by SMTP, whatever the server.
    package var impossibility: RecipientReport? {
        if content.hasNUL { return DialogueTexts.cannotTransferNUL }
        return MailTransaction.canTravel(sender) ? nil : DialogueTexts.cannotTransferSender
    }

    /// The report of one that no recipient was offered in.
    func report(_ message: RecipientReport) -> TransactionReport { TransactionReport(recipients.map { _ in .none }, message) }

    private static let unquotable: Set<UInt8> = [ASCII.space, ASCII.less, ASCII.greater, ASCII.quote, ASCII.backslash]

    /// Whether `address` fits between `<` and `>` of one command line and is read there as the same. Local parts are quoted, which covers all but control
    /// bytes; domains go as they are, so they may hold nothing that ends, quotes or escapes.
    static func canTravel(_ address: Address) -> Bool {
        guard !address.bytes.contains(where: \.isControl) else { return false }
        return !(address.domain ?? []).contains { unquotable.contains($0) }
    }
}
