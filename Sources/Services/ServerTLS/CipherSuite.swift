internal import NIOSSL

/// The cipher suites of RFC 8446 and, for TLS 1.2, those with forward secrecy and authenticated encryption (RFC 9325 §4.2).
package enum CipherSuite {
    private static let names: KeyValuePairs<UInt16, String> = [
        0x1301: "TLS_AES_128_GCM_SHA256",
        0x1302: "TLS_AES_256_GCM_SHA384",
        0x1303: "TLS_CHACHA20_POLY1305_SHA256",
        0xC02B: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        0xC02F: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        0xC02C: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        0xC030: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        0xCCA9: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        0xCCA8: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ]

    static var offered: [NIOTLSCipher] { names.map { NIOTLSCipher($0.key) } }

    /// IANA's name.
    package static func name(_ number: UInt16) -> String { names.first { $0.key == number }?.value ?? "unknown" }
}
