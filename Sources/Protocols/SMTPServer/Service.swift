/// What a session is for: one machine behind several doors.
package enum Service: Sendable {
    /// RFC 5321: mail from anybody.
    case smtp
    /// RFC 2033: no greeting but LHLO, and an answer for each recipient of a message.
    case lmtp

    /// Behind the host's name in the first reply: RFC 2033 §4.1 has one of its own.
    var greetingWord: String { self == .lmtp ? "LMTP" : "ESMTP" }

    /// Behind `with` in the Received field (RFC 3848); for SMTP as qmail says it, whatever the greeting was.
    var receivedWord: StaticString { self == .lmtp ? "LMTP" : "SMTP" }
}
