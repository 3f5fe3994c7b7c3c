private import Bytes

/// One field of a message header, with its continuation lines and final LF.
package struct HeaderField: Equatable, Sendable {
    package private(set) var bytes: [UInt8]
    /// Where the name ends; a colon follows it, perhaps after blanks.
    private let nameEnd: Int
    private let valueStart: Int
    package let kind: Kind

    /// What qmail-inject treats specially (spec-qmail §11.3).
    package enum Kind: UInt8, Sendable {
        case to, cc, bcc, apparentlyTo, resentTo, resentCc, resentBcc
        case from, sender, replyTo, returnReceiptTo, errorsTo, resentFrom, resentSender, resentReplyTo
        case returnPath, contentLength, date, messageID, mailFollowupTo, resentDate, resentMessageID
        case other
    }

    /// - Returns: nil unless a name of visible ASCII, perhaps blanks, and a colon begin it.
    package init?(_ bytes: [UInt8]) {
        guard let end = bytes.firstIndex(where: { !$0.isGraphic || $0 == ASCII.colon }), end > 0,
            let colon = bytes[end...].firstIndex(where: { !$0.isBlank }), bytes[colon] == ASCII.colon
        else { return nil }
        self.bytes = bytes
        nameEnd = end
        valueStart = colon + 1
        kind = HeaderField.names.first { end == $0.name.utf8CodeUnitCount && bytes.hasPrefixIgnoringCase($0.name) }?.kind ?? .other
    }

    /// A continuation line.
    package mutating func append(_ line: ArraySlice<UInt8>) { bytes += line }

    package var name: ArraySlice<UInt8> { bytes[..<nameEnd] }
    package var value: ArraySlice<UInt8> { bytes[valueStart...] }

    private static let names: [(name: StaticString, kind: Kind)] = [
        ("to", .to), ("cc", .cc), ("bcc", .bcc), ("from", .from), ("date", .date), ("sender", .sender), ("reply-to", .replyTo),
        ("message-id", .messageID), ("return-path", .returnPath), ("content-length", .contentLength), ("apparently-to", .apparentlyTo),
        ("errors-to", .errorsTo), ("return-receipt-to", .returnReceiptTo), ("mail-followup-to", .mailFollowupTo), ("resent-to", .resentTo),
        ("resent-cc", .resentCc), ("resent-bcc", .resentBcc), ("resent-from", .resentFrom), ("resent-date", .resentDate),
        ("resent-sender", .resentSender), ("resent-reply-to", .resentReplyTo), ("resent-message-id", .resentMessageID),
    ]
}

extension HeaderField.Kind {
    package var isRecipients: Bool {
        switch self {
        case .to, .cc, .bcc, .apparentlyTo, .resentTo, .resentCc, .resentBcc: true
        default: false
        }
    }

    package var isOriginator: Bool {
        switch self {
        case .from, .sender, .replyTo, .returnReceiptTo, .errorsTo, .resentFrom, .resentSender, .resentReplyTo: true
        default: false
        }
    }

    package var isResent: Bool {
        switch self {
        case .resentTo, .resentCc, .resentBcc, .resentFrom, .resentDate, .resentSender, .resentReplyTo, .resentMessageID: true
        default: false
        }
    }
}
