private import Bytes
private import Crypto
private import CryptoExtras
private import FoundationEssentials
private import X509

/// A private key that signs TLS handshakes.
struct SigningKey {
    private enum Kind {
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case p521(P521.Signing.PrivateKey)
        case rsa(_RSA.Signing.PrivateKey)
        case ed25519(Curve25519.Signing.PrivateKey)
    }

    private let kind: Kind

    /// The first private key in a file of PEM blocks: PKCS#8, SEC1 or PKCS#1, not encrypted.
    init?(pem bytes: [UInt8]) {
        guard let block = PEMBlock.first(in: bytes, labelled: { $0.hasSuffix("PRIVATE KEY") }) else { return nil }
        if let key = try? P256.Signing.PrivateKey(pemRepresentation: block) {
            kind = .p256(key)
        } else if let key = try? P384.Signing.PrivateKey(pemRepresentation: block) {
            kind = .p384(key)
        } else if let key = try? P521.Signing.PrivateKey(pemRepresentation: block) {
            kind = .p521(key)
        } else if let key = try? _RSA.Signing.PrivateKey(pemRepresentation: block) {
            kind = .rsa(key)
        } else if let key = SigningKey.ed25519(block) {
            kind = .ed25519(key)
        } else {
            return nil
        }
    }

    /// RFC 8410 §7: a PKCS#8 structure without attributes is this prefix and the 32 bytes of the key.
    private static func ed25519(_ block: String) -> Curve25519.Signing.PrivateKey? {
        let prefix: [UInt8] = [0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20]
        let text = block.split(separator: "\n").filter { !$0.hasPrefix("-----") }.joined()
        guard let structure = Data(base64Encoded: text), structure.count == prefix.count + 32, structure.starts(with: prefix) else { return nil }
        return try? Curve25519.Signing.PrivateKey(rawRepresentation: structure.dropFirst(prefix.count))
    }

    /// Whether the first certificate of a PEM file is for this key.
    func belongs(toCertificate bytes: [UInt8]) -> Bool {
        guard let block = PEMBlock.first(in: bytes, labelled: { $0 == "CERTIFICATE" }), let certificate = try? Certificate(pemEncoded: block) else {
            return false
        }
        return certificate.publicKey == publicKey
    }

    private var publicKey: Certificate.PublicKey {
        switch kind {
        case .p256(let key): .init(key.publicKey)
        case .p384(let key): .init(key.publicKey)
        case .p521(let key): .init(key.publicKey)
        case .rsa(let key): .init(key.publicKey)
        case .ed25519(let key): .init(key.publicKey)
        }
    }

    /// - Parameter scheme: TLS SignatureScheme (RFC 8446 §4.2.3); an ECDSA one says only the hash, as in TLS 1.2.
    /// - Returns: nil when this key cannot sign so.
    func sign(_ bytes: [UInt8], scheme: UInt16) -> [UInt8]? {
        switch scheme {
        case 0x0403: ecdsa(SHA256.hash(data: bytes))
        case 0x0503: ecdsa(SHA384.hash(data: bytes))
        case 0x0603: ecdsa(SHA512.hash(data: bytes))
        case 0x0401: rsa(SHA256.hash(data: bytes), .insecurePKCS1v1_5)
        case 0x0501: rsa(SHA384.hash(data: bytes), .insecurePKCS1v1_5)
        case 0x0601: rsa(SHA512.hash(data: bytes), .insecurePKCS1v1_5)
        case 0x0804: rsa(SHA256.hash(data: bytes), .PSS)
        case 0x0805: rsa(SHA384.hash(data: bytes), .PSS)
        case 0x0806: rsa(SHA512.hash(data: bytes), .PSS)
        case 0x0807: ed25519(bytes)
        default: nil
        }
    }

    private func ecdsa(_ digest: some Digest) -> [UInt8]? {
        switch kind {
        case .p256(let key): (try? key.signature(for: digest)).map { Array($0.derRepresentation) }
        case .p384(let key): (try? key.signature(for: digest)).map { Array($0.derRepresentation) }
        case .p521(let key): (try? key.signature(for: digest)).map { Array($0.derRepresentation) }
        case .rsa, .ed25519: nil
        }
    }

    private func rsa(_ digest: some Digest, _ padding: _RSA.Signing.Padding) -> [UInt8]? {
        guard case .rsa(let key) = kind else { return nil }
        return (try? key.signature(for: digest, padding: padding)).map { Array($0.rawRepresentation) }
    }

    private func ed25519(_ bytes: [UInt8]) -> [UInt8]? {
        guard case .ed25519(let key) = kind else { return nil }
        return (try? key.signature(for: bytes)).map { Array($0) }
    }
}

/// RFC 7468.
enum PEMBlock {
    /// From `-----BEGIN LABEL-----` to its end line.
    static func first(in bytes: [UInt8], labelled isWanted: (String) -> Bool) -> String? {
        var block: [String] = []
        for line in bytes.split(whereSeparator: { $0 == ASCII.lf || $0 == ASCII.cr }) {
            let text = line.trimmingTrailingBlanks().text
            if block.isEmpty {
                guard text.hasPrefix("-----BEGIN "), text.hasSuffix("-----"), isWanted(String(text.dropFirst(11).dropLast(5))) else { continue }
            }
            block.append(text)
            if text.hasPrefix("-----END ") { return block.joined(separator: "\n") }
        }
        return nil
    }
}
