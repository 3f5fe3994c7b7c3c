internal import NIOCore
internal import NIOSSL

/// The private key of a certificate, which is in role keys.
struct RemoteKey: NIOSSLCustomPrivateKey, Hashable {
    /// Of its folder in `tls/`.
    let name: String
    let client: NIOLoopBound<KeyClient>

    /// All that TLS 1.2 and 1.3 have use for; the certificate's public key says which of them count.
    let signatureAlgorithms: [SignatureAlgorithm] = [
        .ecdsaSecp256R1Sha256, .ed25519, .ecdsaSecp384R1Sha384, .ecdsaSecp521R1Sha512, .rsaPssRsaeSha256, .rsaPssRsaeSha384, .rsaPssRsaeSha512,
        .rsaPkcs1Sha256, .rsaPkcs1Sha384, .rsaPkcs1Sha512,
    ]

    func sign(channel: any Channel, algorithm: SignatureAlgorithm, data: ByteBuffer) -> EventLoopFuture<ByteBuffer> {
        client.value.sign(data, with: name, scheme: algorithm.rawValue)
    }

    /// Only for key exchange by RSA, which is not offered.
    func decrypt(channel: any Channel, data: ByteBuffer) -> EventLoopFuture<ByteBuffer> {
        channel.eventLoop.makeFailedFuture(KeyClient.Refused())
    }

    static func == (a: RemoteKey, b: RemoteKey) -> Bool { a.name == b.name }
    func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
