/// A server's answer, all its lines (RFC 5321 §4.2).
package struct Reply: Equatable, Sendable {
    /// 200…599.
    package var code: Int
    /// The lines with their codes, each ended by LF, as a report quotes them: CR removed, other control bytes shown as `?`
    /// (spec-qmail §14.2 does so with NUL), cut at ``ReplyParser/Limits/kept``.
    package var text: [UInt8]

    package init(code: Int, text: [UInt8]) {
        self.code = code
        self.text = text
    }

    package enum Class: Sendable { case success, temporaryFailure, permanentFailure }

    /// qmail's reading: below 400 is success (spec-qmail §14.2).
    package var `class`: Class { code >= 500 ? .permanentFailure : code >= 400 ? .temporaryFailure : .success }

    /// The server is about to close (RFC 5321 §3.8).
    package var closesConnection: Bool { code == 421 }
}
