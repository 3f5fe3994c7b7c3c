private import Addresses
private import Bytes
private import Dates

// multipart/report (RFC 6522) with message/delivery-status (RFC 3464).
//
// In front of its first part, where readers of MIME look at nothing, stands a whole QSBMF message: its parsers find the greeting as the first line
// of the body, the recipients, the `-` paragraph and after it the original's Return-Path. A parser that sees the parts only (ezmlm-return skips
// paragraphs that begin with `--`) finds greeting and recipients again in the first part, and the next delimiter ends its list.
extension Bounce {
    /// The fields that qmail's bounces do not have.
    func appendReportHeader(_ boundary: MIMEBoundary, to output: inout [UInt8]) {
        output.append("Message-ID: <")
        output.append(contentsOf: "\(MailDate(date).compact).".utf8)
        output.append(contentsOf: boundary.text)
        output.append(ASCII.at)
        output.append(contentsOf: reportingHost)
        output.append(">\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n")
        output.append("Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"")
        output.append(contentsOf: boundary.text)
        // The original may hold anything, and the queue does not look.
        output.append("\"\nContent-Transfer-Encoding: 8bit\n")
    }

    func appendReport(_ boundary: MIMEBoundary, to output: inout [UInt8]) {
        appendQSBMF(to: &output, Bounce.cleaned)
        output.append(ASCII.lf)
        appendHumanPart(boundary, to: &output)
        appendStatusPart(boundary, to: &output)
        output.append(contentsOf: boundary.opening)
        output.append(contentsOf: "Content-Type: \(originalType)\nContent-Transfer-Encoding: 8bit\n\n".utf8)
        appendReturnPath(to: &output)
    }

    private func appendHumanPart(_ boundary: MIMEBoundary, to output: inout [UInt8]) {
        output.append(contentsOf: boundary.opening)
        output.append(contentsOf: "Content-Type: text/plain; charset=\(charset)\nContent-Transfer-Encoding: 8bit\n\n".utf8)
        appendIntroduction(to: &output)
        for failure in failures { output.append(contentsOf: Bounce.cleaned(failure.paragraph)) }
    }

    private func appendStatusPart(_ boundary: MIMEBoundary, to output: inout [UInt8]) {
        output.append(contentsOf: boundary.opening)
        output.append("Content-Type: message/delivery-status\n\nReporting-MTA: dns; ")
        output.append(contentsOf: reportingHost)
        output.append("\nArrival-Date: ")
        output.append(contentsOf: MailDate(arrival).header.utf8)
        output.append("\n")
        for failure in failures { failure.appendStatusFields(to: &output) }
        output.append(ASCII.lf)
    }

    /// RFC 6533 §4 names the types for headers that may hold UTF-8. The queue looks into no content, so the envelope decides.
    private var originalType: String {
        let isInternationalized = !recipient.isASCII || failures.contains { !$0.recipient.isASCII }
        return switch (copy, isInternationalized) {
        case (.whole, false): "message/rfc822"
        case (.whole, true): "message/global"
        case (.header, false): "text/rfc822-headers"
        case (.header, true): "message/global-headers"
        }
    }

    private var charset: String {
        if failures.allSatisfy({ $0.recipient.isASCII && $0.text.allSatisfy { $0 < 0x80 } }) { return "us-ascii" }
        let isUTF8 = failures.allSatisfy {
            String(validating: $0.recipient.bytes, as: UTF8.self) != nil && String(validating: $0.text, as: UTF8.self) != nil
        }
        return isUTF8 ? "utf-8" : "unknown-8bit"
    }

    /// What other hosts say may hold bytes that no mail may: controls other than tab and LF become `?`.
    private static func cleaned(_ paragraph: [UInt8]) -> [UInt8] {
        paragraph.contains(where: isForbidden) ? paragraph.map { isForbidden($0) ? ASCII.question : $0 } : paragraph
    }

    private static func isForbidden(_ byte: UInt8) -> Bool { byte.isControl && byte != ASCII.lf && byte != ASCII.tab }
}
