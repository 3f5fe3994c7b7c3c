private import Bytes

/// How a client proves who it is (RFC 4422).
///
/// Module `SASL` is the exchanges of both sides as machines: messages in, messages and questions out, randomness an input. It must not know accounts, hashes
/// on disk, nor the protocol that carries the messages (base64, `*`, length limits of lines are the carrier's).
package enum Mechanism: String, Sendable, CaseIterable {
    /// RFC 5802, RFC 7677; without channel binding.
    case scramSHA256 = "SCRAM-SHA-256"
    /// RFC 2195.
    case cramMD5 = "CRAM-MD5"
    /// RFC 4616.
    case plain = "PLAIN"
    /// Never standardised (draft-murchison-sasl-login-00).
    case login = "LOGIN"
    /// POP3's own command (RFC 1939 §7), told as if it were a mechanism.
    case apop = "APOP"

    /// - Parameter name: in upper case.
    package init?(name: some Collection<UInt8>) { self.init(rawValue: name.text) }

    /// Needs the password itself on the server's disk.
    package var needsSecret: Bool { self == .cramMD5 || self == .apop }

    /// What a server offers, best first.
    /// - Parameter lines: of `control/authmechanisms`, whatever their case; nil when it is missing: then those that every account can use.
    package static func offered(_ lines: [[UInt8]]?) -> [Mechanism] {
        guard let lines else { return [.plain, .login] }
        let names = Set(lines.map { $0.text.uppercased() })
        return allCases.filter { names.contains($0.rawValue) }
    }
}
