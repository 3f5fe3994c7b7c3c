private import Bytes

/// What a program in qmail-remote's place prints about one recipient, and the report that qmail-rspawn makes of it (spec-qmail §14.1).
///
/// The output is a row of reports, each a letter and a text behind which stands NUL. Only the first two have texts that count; however much there is,
/// no more than those is kept.
package struct ProgramOutput {
    /// Of one text: what the queue takes (spec-qmail §1.4).
    private static let maxTextBytes = 10_000

    /// The first byte of all, whether its report is ever closed or not.
    private var leading: UInt8?
    /// The first two reports, with their letters.
    private var reports: [[UInt8]] = []
    /// The one that is not closed yet.
    private var open: [UInt8] = []
    /// Of the first report that is about the message.
    private var message: RecipientReport.Class?

    package init() {}

    package var isEmpty: Bool { leading == nil }

    package mutating func add(_ bytes: some Collection<UInt8>) {
        if leading == nil { leading = bytes.first }
        for byte in bytes {
            if byte == ASCII.nul {
                close()
            } else if open.count <= Self.maxTextBytes {
                open.append(byte)
            }
        }
    }

    private mutating func close() {
        if message == nil { message = RecipientReport.Class(letter: open.first) }
        if reports.count < 2 { reports.append(open) }
        open.removeAll(keepingCapacity: true)
    }

    /// A refusal of the recipient decides before what became of the message; without either it is a failure.
    package var report: RecipientReport {
        let final: RecipientReport.Class =
            switch leading {
            case UInt8(ascii: "s"): .deferred
            case UInt8(ascii: "h"): .failed
            default: message ?? .failed
            }
        var text = Array(reports.first?.dropFirst() ?? [])
        if let message, message >= final, let second = reports.dropFirst().first, RecipientReport.Class(letter: second.first) != nil {
            text += second.dropFirst()
        }
        return RecipientReport(final, text)
    }
}

extension RecipientReport.Class {
    /// `K`, `Z`, `D`.
    fileprivate init?(letter: UInt8?) {
        switch letter {
        case UInt8(ascii: "K"): self = .delivered
        case UInt8(ascii: "Z"): self = .deferred
        case UInt8(ascii: "D"): self = .failed
        default: return nil
        }
    }
}
