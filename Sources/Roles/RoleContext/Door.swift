/// What is spoken on a listening socket: a door of the house, each with a control file of its name that says where it is (`smtplisten`, `pop3listen` …).
package enum Door: String, CaseIterable, Sendable {
    /// RFC 5321, port 25.
    case smtp
    /// SMTP with TLS from the first byte; no port is assigned to it.
    case smtps
    /// RFC 6409, port 587: a login is needed.
    case submission
    /// RFC 8314, port 465.
    case submissions
    /// RFC 2033; no port, often a UNIX socket.
    case lmtp
    /// Port 209.
    case qmtp
    /// Port 628. It relays for whoever may connect.
    case qmqp
    /// RFC 1939, port 110.
    case pop3
    /// RFC 8314, port 995.
    case pop3s

    /// In `control/`.
    package var file: String { rawValue + "listen" }

    /// Whether mail comes in here (role smtpd); otherwise it is read (role access).
    package var takesMail: Bool { self != .pop3 && self != .pop3s }

    /// TLS begins with the connection (RFC 8314 §3).
    package var isEncrypted: Bool { self == .smtps || self == .submissions || self == .pop3s }
}
