private import Crypto

/// What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 §3): enough to check a proof, not enough to make one.
package struct SCRAMKeys: Equatable, Sendable {
    package var salt: [UInt8]
    package var iterations: UInt32
    package var storedKey: [UInt8]
    package var serverKey: [UInt8]

    /// What new keys are made with; RFC 7677 §4 asks for 4096 at least. Each login costs the client as many.
    package static let iterations: UInt32 = 10_000
    /// A server that asks for more would only keep the client busy.
    static let maxIterations: UInt32 = 1_000_000
    static let minIterations: UInt32 = 4096
    static let keyBytes = 32

    package init(salt: [UInt8], iterations: UInt32, storedKey: [UInt8], serverKey: [UInt8]) {
        self.salt = salt
        self.iterations = iterations
        self.storedKey = storedKey
        self.serverKey = serverKey
    }

    /// - Returns: nil for a password that no client could send (RFC 4013).
    package static func derive(password: [UInt8], salt: [UInt8], iterations: UInt32 = iterations) -> SCRAMKeys? {
        guard let password = PreparedString.prepare(password) else { return nil }
        let salted = SaltedPassword(password, salt: salt, iterations: iterations)
        return SCRAMKeys(salt: salt, iterations: iterations, storedKey: salted.storedKey, serverKey: salted.serverKey)
    }

    /// For an account that is not there, or has no keys: the same salt at each try, as a real one's; no proof fits.
    /// - Parameter seed: a secret of the server's that lasts.
    package static func decoy(login: [UInt8], seed: [UInt8], iterations: UInt32 = iterations) -> SCRAMKeys {
        SCRAMKeys(
            salt: Array(Hash.code(login, key: seed).prefix(16)), iterations: iterations, storedKey: Hash.code([1] + login, key: seed),
            serverKey: Hash.code([2] + login, key: seed))
    }
}

/// `SaltedPassword := Hi(Normalize(password), salt, i)` and what is made from it.
struct SaltedPassword {
    private let bytes: [UInt8]

    init(_ password: [UInt8], salt: [UInt8], iterations: UInt32) {
        // Hi is PBKDF2 with one block (RFC 5802 §2.2).
        let key = SymmetricKey(data: password)
        var last = HMAC<SHA256>.authenticationCode(for: salt + [0, 0, 0, 1], using: key)
        var sum = Array(last)
        for _ in 1..<max(iterations, 2) where iterations > 1 {
            last = last.withUnsafeBytes { HMAC<SHA256>.authenticationCode(for: $0, using: key) }
            last.withUnsafeBytes { bytes in
                for index in sum.indices { sum[index] ^= bytes[index] }
            }
        }
        bytes = sum
    }

    var clientKey: [UInt8] { Hash.code("Client Key".utf8, key: bytes) }
    var storedKey: [UInt8] { Hash.of(clientKey) }
    var serverKey: [UInt8] { Hash.code("Server Key".utf8, key: bytes) }
}

/// SHA-256 as arrays.
enum Hash {
    static func of(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }

    static func code(_ bytes: some Sequence<UInt8>, key: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array(bytes), using: SymmetricKey(data: key)))
    }
}
