private import Addresses
private import Bytes
package import Frames
package import JournalFormat

extension Admin.Selection {
    /// Whether a message is selected as far as its recipients do not matter.
    package func matches(_ record: MessageRecord, now: UInt64) -> Bool {
        let age = now > record.birth ? now - record.birth : 0
        guard age >= minAge, age <= maxAge, isHeld.map({ $0 == record.isHeld }) ?? true else { return false }
        return sender.map { Self.matches($0, record.sender[...]) } ?? true
    }

    /// A recipient is known by its own address and by the one that the queue made of it.
    package func matches(_ recipient: PackedRecipients.Recipient) -> Bool {
        guard choosesRecipients else { return true }
        if let channel, channel != recipient.channel { return false }
        if let domain, !Self.matches(domain, PackedRecipients.host(of: recipient.address)[...]) { return false }
        guard let pattern = self.recipient else { return true }
        return Self.matches(pattern, recipient.address) || Self.matches(pattern, recipient.address.dropFirst(recipient.prependedCount ?? 0))
    }

    /// Whether some recipient that is still to be delivered to is selected, or one that has failed.
    package func matchesSome(_ recipients: PackedRecipients, orFailed: Bool = false) -> Bool {
        guard choosesRecipients else { return true }
        var cursor: UInt32 = 0
        while let recipient = recipients.recipient(at: cursor) {
            if recipient.state.isOpen || orFailed && recipient.state == .failed, matches(recipient) { return true }
            cursor = recipients.offset(after: recipient)
        }
        return false
    }

    /// `*` stands for any bytes; letters of either case are equal. What the last star took grows when the rest does not fit.
    package static func matches(_ pattern: [UInt8], _ text: ArraySlice<UInt8>) -> Bool {
        var (p, t) = (pattern.startIndex, text.startIndex)
        var star: (pattern: Int, text: Int)?
        while t < text.endIndex {
            if p < pattern.endIndex, pattern[p] == UInt8(ascii: "*") {
                star = (p, t)
                p += 1
            } else if p < pattern.endIndex, pattern[p].lowercased == text[t].lowercased {
                p += 1
                t += 1
            } else if let last = star {
                star = (last.pattern, last.text + 1)
                (p, t) = (last.pattern + 1, last.text + 1)
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
