/// Who sent a message and who gets it: RFC 5321 §2.3.1, without the options.
package struct Envelope: Equatable, Sendable {
    package var sender: Address
    package var recipients: [Address]

    package init(sender: Address, recipients: [Address]) {
        self.sender = sender
        self.recipients = recipients
    }
}
