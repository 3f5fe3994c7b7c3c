package import Addresses
private import Bytes
private import Dates

/// The message that tells a sender which recipients his message did not reach (spec-qmail §8.4, RFC 3464).
///
/// The text around the copy of the original is made here; the original itself is streamed between ``prefix()`` and ``suffix()`` by the caller,
/// as ``copy`` says. The queue puts its own `Received` line in front.
///
/// Pure: date, boundary and failures are inputs. It must not know whether a bounce is due: the queue decides that. What holds: no text from another
/// host can add a header field or a part, and texts stay within the limits named here.
package struct Bounce: Sendable {
    package enum Kind: Sendable {
        /// To the sender of a message.
        case single
        /// About a bounce that could not be delivered, to the postmaster.
        case double
    }

    /// `control/bounceformat`.
    package enum Format: Equatable, Sendable {
        /// qmail's bytes (QSBMF).
        case qsbmf
        /// multipart/report with QSBMF in its preamble.
        case deliveryReport(MIMEBoundary)
    }

    /// How much of the original message is written between prefix and suffix.
    package enum Copy: Equatable, Sendable {
        case whole
        /// Its header without the empty line that ends it; not more than `limit` bytes.
        case header(limit: UInt64)
    }

    /// `bouncefrom` and `bouncehost`: who the bounce is from.
    package var from: (localPart: [UInt8], host: [UInt8])
    /// The name of this server, `me`.
    package var reportingHost: [UInt8]
    /// Now, seconds since 1970.
    package var date: UInt64
    /// When the original message was accepted, seconds since 1970.
    package var arrival: UInt64
    /// Who gets the bounce: the original's sender without its VERP suffix, or the address for double bounces.
    package var recipient: Address
    package var kind: Kind
    package var format: Format
    package var failures: [Failure]
    /// Bytes of the original message.
    package var originalSize: UInt64
    /// `bouncemaxbytes`: of a larger original only the header is returned. 0 = no limit.
    package var maxBytes: UInt64

    /// Texts of failures are given in full up to this sum; after it, each up to ``shortTextBytes``: a host that refuses 100,000 recipients at length
    /// must not make a bounce of gigabytes.
    package static let fullTextBytes = 4 << 20
    package static let shortTextBytes = 200

    package init(
        from: (localPart: [UInt8], host: [UInt8]), reportingHost: [UInt8], date: UInt64, arrival: UInt64, recipient: Address, kind: Kind,
        format: Format,
        failures: [Failure], originalSize: UInt64, maxBytes: UInt64
    ) {
        self.from = from
        self.reportingHost = reportingHost
        self.date = date
        self.arrival = arrival
        self.recipient = recipient
        self.kind = kind
        self.format = format
        self.failures = Bounce.bounded(failures)
        self.originalSize = originalSize
        self.maxBytes = maxBytes
    }

    package var copy: Copy { maxBytes == 0 || originalSize <= maxBytes ? .whole : .header(limit: maxBytes) }

    /// The envelope sender of the bounce.
    package var sender: Address { kind == .single ? .null : .doubleBounce }

    /// All that stands before the copy of the original.
    package func prefix() -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(4096 + failures.reduce(0) { $0 + 3 * ($1.text.count + $1.recipient.bytes.count) + 128 })
        appendHeader(to: &output)
        switch format {
        case .qsbmf: appendQSBMF(to: &output) { $0 }
        case .deliveryReport(let boundary): appendReport(boundary, to: &output)
        }
        return output
    }

    /// All that stands after the copy of the original.
    package func suffix() -> [UInt8] {
        switch format {
        case .qsbmf: []
        // The line break before a delimiter belongs to it (RFC 2046 §5.1.1): the copy stays as it was, with a last LF or without.
        case .deliveryReport(let boundary): [ASCII.lf] + boundary.closing
        }
    }

    private func appendHeader(to output: inout [UInt8]) {
        let from = Address(self.from.localPart + [ASCII.at] + self.from.host)?.quoted ?? Array("MAILER-DAEMON".utf8)
        output.append("Date: ")
        output.append(contentsOf: MailDate(date).header.utf8)
        output.append("\nFrom: ")
        output.append(contentsOf: from)
        output.append("\nTo: ")
        output.append(contentsOf: recipient.quoted)
        output.append("\nSubject: failure notice\n")
        if case .deliveryReport(let boundary) = format { appendReportHeader(boundary, to: &output) }
        output.append(ASCII.lf)
    }

    private static func bounded(_ failures: [Failure]) -> [Failure] {
        var left = fullTextBytes
        return failures.map { failure in
            left -= failure.text.count
            return left >= 0 ? failure : Failure(recipient: failure.recipient, text: failure.text.prefix(shortTextBytes))
        }
    }
}
