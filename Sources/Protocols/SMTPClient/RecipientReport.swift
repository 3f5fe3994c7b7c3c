/// How a transaction ended for one recipient, with the text for log and bounce in qmail's words (spec-qmail §14.1); lines end with LF.
package struct RecipientReport: Equatable, Sendable {
    package enum Class: Int, Comparable, Sendable {
        case delivered, deferred, failed
        package static func < (a: Class, b: Class) -> Bool { a.rawValue < b.rawValue }
    }

    package var `class`: Class
    package var text: [UInt8]

    package init(_ class: Class, _ text: [UInt8]) {
        self.class = `class`
        self.text = text
    }

    package init(_ class: Class, _ text: String) { self.init(`class`, Array(text.utf8)) }

    /// The report of a recipient that was refused (`h`, `s`), in a message that ended as `message`: the refusal decides, and the message's text
    /// follows where its class is not better (spec-qmail §14.1).
    func followed(by message: RecipientReport) -> RecipientReport {
        message.class < self.class ? self : RecipientReport(self.class, text + message.text)
    }
}

extension Reply.Class {
    var report: RecipientReport.Class {
        switch self {
        case .success: .delivered
        case .intermediate, .temporaryFailure: .deferred
        case .permanentFailure: .failed
        }
    }
}
