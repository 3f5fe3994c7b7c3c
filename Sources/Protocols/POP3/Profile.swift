/// Whose POP3 is spoken.
package enum Profile: Sendable {
    /// That of qmail-popup and qmail-pop3d (spec-qmail §16): their commands and texts, byte for byte, and one attempt to log in.
    case classic
    /// RFC 1939 with CAPA (RFC 2449), STLS (RFC 2595), AUTH (RFC 5034), UTF8 and LANG (RFC 6856) and response codes (RFC 2449 §8, RFC 3206).
    case modern
}

/// How a client may log in.
package struct OfferedLogins: Equatable, Sendable {
    /// In upper case, the best first: SASL mechanisms, and ``apop`` as if it were one. ``plain`` is USER and PASS too.
    package var mechanisms: [String]
    /// Without TLS nobody may try.
    package var needsTLS: Bool
    /// STLS can be had.
    package var startsTLS: Bool

    package init(mechanisms: [String] = [], needsTLS: Bool = true, startsTLS: Bool = false) {
        self.mechanisms = mechanisms
        self.needsTLS = needsTLS
        self.startsTLS = startsTLS
    }

    package static let plain = "PLAIN"
    package static let apop = "APOP"

    /// Those for AUTH.
    var saslMechanisms: [String] { mechanisms.filter { $0 != Self.apop } }
}

/// What CAPA lists (RFC 2449). IMPLEMENTATION is not told: it would serve only those who look for old versions.
enum Capabilities {
    /// - Parameter logins: nil after the login, where they are of no use any more.
    static func lines(_ logins: OfferedLogins?, isEncrypted: Bool) -> [String] {
        var lines = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8", "LANG"]
        guard let logins else { return lines }
        if logins.startsTLS, !isEncrypted { lines.append("STLS") }
        guard isEncrypted || !logins.needsTLS else { return lines }
        if logins.mechanisms.contains(OfferedLogins.plain) { lines.append("USER") }
        if !logins.saslMechanisms.isEmpty { lines.append("SASL " + logins.saslMechanisms.joined(separator: " ")) }
        return lines
    }
}
