package import Frames
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
}
