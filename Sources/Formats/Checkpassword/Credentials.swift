private import Bytes

/// What a program of the checkpassword interface reads from its descriptor 3: login, password and timestamp, each ended by a NUL; more may follow
/// (spec-qmail §16.2).
///
/// Module `Checkpassword` is that format, for those who ask and for those who answer. It must not know accounts or protocols.
package struct Credentials: Equatable, Sendable {
    package let login: [UInt8]
    /// The password, or with APOP the digest.
    package let password: [UInt8]
    /// What a digest was made over.
    package let timestamp: [UInt8]

    /// Bytes on descriptor 3; with more nobody is let in.
    package static let maxBytes = 512

    /// - Returns: nil when one of them holds a NUL. It would shift the fields: a digest heard once could be sent again with the timestamp it was made for.
    package init?(login: [UInt8], password: [UInt8], timestamp: [UInt8]) {
        for field in [login, password, timestamp] where field.contains(ASCII.nul) { return nil }
        self.login = login
        self.password = password
        self.timestamp = timestamp
    }

    /// - Returns: nil when login or password is missing. Some callers have no timestamp.
    package init?(encoded: [UInt8]) {
        let fields = encoded.split(separator: ASCII.nul, maxSplits: 3, omittingEmptySubsequences: false)
        guard fields.count >= 3 else { return nil }
        login = Array(fields[0])
        password = Array(fields[1])
        timestamp = Array(fields[2])
    }

    package var encoded: [UInt8] { login + [ASCII.nul] + password + [ASCII.nul] + timestamp + [ASCII.nul] }
}
