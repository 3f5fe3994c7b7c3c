package import Addresses
private import Bytes

/// One recipient that a message did not reach, and why.
package struct Failure: Equatable, Sendable {
    /// As the sender wrote it: without the prepend of a virtual domain.
    package var recipient: Address
    /// The report of the delivery, LF between lines.
    package var text: ArraySlice<UInt8>

    package init(recipient: Address, text: some Collection<UInt8>) {
        self.recipient = recipient
        self.text = Array(text)[...]
    }

    /// What is added to the report when a message was too long in the queue (spec-qmail §8.3).
    package static let expiryText = "I'm not going to try again; this message has been in the queue too long.\n"

    /// The paragraph of a bounce (spec-qmail §8.3): `<ADDR>:`, the report, an empty line. An empty line within the report, which would end the
    /// paragraph, becomes `/` at the start of the next line.
    package var paragraph: [UInt8] {
        var result: [UInt8] = [ASCII.less]
        result.reserveCapacity(recipient.bytes.count + text.count + 5)
        result.append(contentsOf: recipient.bytes)
        result.append(">:\n")
        for index in text.indices {
            let byte = text[index]
            let follows = index == text.startIndex ? ASCII.lf : text[index - 1]
            let isLast = index == text.endIndex - 1
            result.append(byte == ASCII.lf && follows == ASCII.lf && !isLast ? ASCII.slash : byte)
        }
        if let last = text.last, last != ASCII.lf { result.append(ASCII.lf) }
        result.append(ASCII.lf)
        return result
    }
}
