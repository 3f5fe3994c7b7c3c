internal import Accounts
private import Bytes
package import Posix
private import SASL

/// What is kept of a password: a hash, the keys of SCRAM-SHA-256, and itself only where the site wants CRAM-MD5 and APOP.
package struct NewPassword: Sendable {
    let hash: [UInt8]
    /// Nil for a password that no client could prepare (RFC 4013): it is good for mechanisms that send it.
    let scram: LoginRecord.SCRAM?
    let secret: [UInt8]?

    /// Costs what a hash costs, some 10 ms.
    package init(_ password: [UInt8], keepsSecret: Bool) throws(PasswordHash.Failure) {
        hash = try PasswordHash.make(password)
        scram = SCRAMKeys.derive(password: password, salt: randomBytes(16)).map {
            LoginRecord.SCRAM(iterations: $0.iterations, salt: $0.salt, storedKey: $0.storedKey, serverKey: $0.serverKey)
        }
        secret = keepsSecret ? password : nil
    }

    /// One that another system has hashed; it is good for mechanisms that send it.
    package init(hash: [UInt8]) {
        self.hash = hash
        scram = nil
        secret = nil
    }

    /// A password that nobody has to remember: 20 letters and digits in groups, more than 100 bits.
    package static func generated() -> [UInt8] {
        // Without those that look alike; 32, so that each byte gives one without favour.
        let alphabet = Array("abcdefghijkmnpqrstuvwxyz23456789".utf8)
        var text: [UInt8] = []
        for (index, byte) in randomBytes(20).enumerated() {
            if index > 0, index % 5 == 0 { text.append(ASCII.hyphen) }
            text.append(alphabet[Int(byte) % alphabet.count])
        }
        return text
    }
}
