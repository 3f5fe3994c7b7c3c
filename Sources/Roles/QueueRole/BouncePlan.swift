package import Addresses
package import Bounces
private import Bytes
package import JournalFormat
package import Routing

/// All that a bounce is made of, as values: its text is put together away from the loop.
package struct BouncePlan: Sendable {
    private let record: MessageRecord
    private let rewriting: AddressRewriting
    package let recipient: Address
    /// The message was a bounce itself.
    private let isDouble: Bool
    private let from: (localPart: [UInt8], host: [UInt8])
    private let me: [UInt8]
    private let maxBytes: UInt64
    private let format: Bounce.Format
    private let date: UInt64

    package init(
        record: MessageRecord, rewriting: AddressRewriting, recipient: Address, isDouble: Bool, from: (localPart: [UInt8], host: [UInt8]),
        me: [UInt8],
        maxBytes: UInt64, format: Bounce.Format, date: UInt64
    ) {
        self.record = record
        self.rewriting = rewriting
        self.recipient = recipient
        self.isDouble = isDouble
        self.from = from
        self.me = me
        self.maxBytes = maxBytes
        self.format = format
        self.date = date
    }

    /// The envelope sender of the bounce.
    package var sender: Address { isDouble ? .doubleBounce : .null }

    private func bounce(_ failures: [Failure]) -> Bounce {
        Bounce(
            from: from, reportingHost: me, date: date, arrival: record.birth, recipient: recipient, kind: isDouble ? .double : .single,
            format: format, failures: failures, originalSize: UInt64(record.content.length), maxBytes: maxBytes)
    }

    /// Of the original, from its front.
    package var copyBytes: Int {
        switch bounce([]).copy {
        case .whole: record.content.length
        case .header(let limit): Int(clamping: limit)
        }
    }

    /// - Parameter original: the first ``copyBytes`` of the message; nil when it cannot be read.
    package func content(copying original: [UInt8]?) -> [UInt8] {
        let bounce = bounce(failures())
        var content = bounce.prefix()
        if let original {
            content += bounce.copy == .whole ? original[...] : BouncePlan.header(of: original)
        } else {
            content += Array("(The queue could not read the message.)\n".utf8)
        }
        return content + bounce.suffix()
    }

    /// Every failed recipient; those whose text was not kept have none.
    private func failures() -> [Failure] {
        var texts: [UInt32: ArraySlice<UInt8>] = [:]
        record.failures.visit { texts[$0] = $1 }
        var failures: [Failure] = []
        record.recipients.visit { recipient in
            guard recipient.state == .failed, let address = Address(recipient.address) else { return }
            failures.append(
                Failure(recipient: recipient.channel == .local ? rewriting.unprepended(address) : address, text: texts[recipient.offset] ?? []))
        }
        return failures
    }

    /// Up to the first empty line, without it; cut at a line's end.
    private static func header(of content: [UInt8]) -> ArraySlice<UInt8> {
        var previous = ASCII.lf
        for index in content.indices {
            if content[index] == ASCII.lf, previous == ASCII.lf { return content[..<index] }
            previous = content[index]
        }
        guard let last = content.lastIndex(of: ASCII.lf) else { return content[...] }
        return content[...last]
    }
}
