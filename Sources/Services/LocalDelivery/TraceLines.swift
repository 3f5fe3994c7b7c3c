package import Addresses
private import Bytes
private import Dates

/// The lines that delivery puts in front of a message (spec-qmail §7.5): no byte of an address can end one.
package struct TraceLines: Equatable, Sendable {
    /// `Return-Path: <SENDER>\n`
    package let returnPath: [UInt8]
    /// `Delivered-To: RECIPIENT\n`
    package let deliveredTo: [UInt8]

    package init(sender: Address, localPart: ArraySlice<UInt8>, domain: ArraySlice<UInt8>) {
        returnPath = TraceLines.line("Return-Path: <", sender.quoted, ">\n")
        deliveredTo = TraceLines.line("Delivered-To: ", localPart + [ASCII.at] + domain, "\n")
    }

    private static func line(_ start: StaticString, _ middle: some Collection<UInt8>, _ end: StaticString) -> [UInt8] {
        var result: [UInt8] = []
        result.append(start)
        result.append(contentsOf: middle.lazy.map { $0 == ASCII.lf ? ASCII.underscore : $0 })
        result.append(end)
        return result
    }
}

extension TraceLines {
    /// The line that begins a message in an mbox: `From SENDER Sat Jan 03 01:05:34 1996\n`.
    package static func fromLine(_ sender: Address, now: UInt64) -> [UInt8] {
        let name = sender.isNull ? Array("MAILER-DAEMON".utf8) : sender.bytes
        return Array("From ".utf8) + name.map { $0.isBlank || $0 == ASCII.lf ? ASCII.hyphen : $0 } + Array(" \(MailDate(now).fromLine)\n".utf8)
    }
}
