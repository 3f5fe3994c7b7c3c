package import Addresses
private import Bytes
private import Netstrings

/// What a QMQP client sends: one netstring around message, sender and recipients (spec-qmail §15.3). The message goes between two parts, so that nobody
/// copies it.
package struct QMQPRequest: Equatable, Sendable {
    package let beforeMessage: [UInt8]
    package let afterMessage: [UInt8]

    /// Whether a message of this length can be in a request at all.
    package static func canHold(messageBytes: Int) -> Bool { messageBytes <= Int(NetstringReader.maxLength) }

    /// Nil when the request is longer than a netstring may be.
    package init?(messageBytes: Int, _ envelope: Envelope) {
        let head = Array("\(messageBytes):".utf8)
        var tail: [UInt8] = [ASCII.comma]
        tail.append(netstring: envelope.sender.bytes)
        for recipient in envelope.recipients { tail.append(netstring: recipient.bytes) }
        let (total, overflow) = messageBytes.addingReportingOverflow(head.count + tail.count)
        guard !overflow, UInt64(total) <= NetstringReader.maxLength else { return nil }
        beforeMessage = Array("\(total):".utf8) + head
        afterMessage = tail + [ASCII.comma]
    }
}

/// What a QMQP server said: the first K, Z or D of all that came, whatever stands before it.
package enum QMQPAnswer: Sendable {
    case accepted
    case deferred
    case refused

    /// Nil when nothing has been said yet.
    package init?(_ bytes: [UInt8]) {
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "K"): self = .accepted
            case UInt8(ascii: "Z"): self = .deferred
            case UInt8(ascii: "D"): self = .refused
            default: continue
            }
            return
        }
        return nil
    }
}
