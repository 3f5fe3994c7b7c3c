/// What a session is for: one machine behind several doors.
package enum Service: Sendable {
    /// RFC 5321: mail from anybody.
    case smtp
    /// RFC 6409: mail from those who have logged in.
    case submission
    /// RFC 2033: no greeting but LHLO, and an answer for each recipient of a message.
    case lmtp

    /// Behind the host's name in the first reply: RFC 2033 §4.1 has one of its own.
    var greetingWord: String { self == .lmtp ? "LMTP" : "ESMTP" }

    /// Behind `with` in the Received field (RFC 3848); `SMTP`, whatever the greeting was, is qmail's word.
    func receivedWord(isEncrypted: Bool, hasLoggedIn: Bool) -> StaticString {
        switch (self, isEncrypted, hasLoggedIn) {
        case (.lmtp, false, _): "LMTP"
        case (.lmtp, true, _): "LMTPS"
        case (_, false, false): "SMTP"
        case (_, true, false): "ESMTPS"
        case (_, false, true): "ESMTPA"
        case (_, true, true): "ESMTPSA"
        }
    }
}
