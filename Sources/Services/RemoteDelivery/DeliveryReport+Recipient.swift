package import Frames
package import Posix
package import SMTPClient

extension DeliveryReport {
    /// For the queue: the text cut so that the reports of all recipients fit one packet.
    package init(_ report: RecipientReport, ofRecipients count: Int) {
        let outcome: Outcome =
            switch report.class {
            case .delivered: .delivered
            case .deferred: .deferred
            case .failed: .failed
            }
        let fixedBytes = 8
        self.init(outcome, report.text.prefix(max(0, (Delivery.maxPacketBytes - fixedBytes) / max(count, 1) - fixedBytes)))
    }

    /// What qmail-rspawn makes of how a program in qmail-remote's place ended (spec-qmail §14.1).
    package init(_ end: ChildEnd, _ output: ProgramOutput, ofRecipients count: Int) {
        switch end {
        case .killed: self = DeliveryTexts.programCrashed
        case .exited(0) where output.isEmpty: self = DeliveryTexts.programSaidNothing
        case .exited(0): self.init(output.report, ofRecipients: count)
        case .exited(111): self = DeliveryTexts.programNotRunNow
        case .exited: self = DeliveryTexts.programNotRun
        }
    }
}
