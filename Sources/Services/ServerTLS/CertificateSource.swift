internal import NIOSSL
private import Posix

/// Which certificates there are, and where their keys are.
protocol CertificateSource: AnyObject {
    /// For clients that name no host.
    var standard: ServerCertificate? { get }
    /// Nil where the standard one is to be shown.
    func certificate(for serverName: String) -> ServerCertificate?
    /// - Returns: whether something changed.
    func refresh() -> Bool
}

struct ServerCertificate {
    /// The leaf first.
    let chain: [NIOSSLCertificateSource]
    let key: NIOSSLPrivateKeySource

    /// The chain in a PEM file, with its leaf apart.
    static func chain(_ pem: [UInt8]) throws -> (leaf: NIOSSLCertificate, chain: [NIOSSLCertificateSource]) {
        let chain = try NIOSSLCertificate.fromPEMBytes(pem)
        guard let leaf = chain.first else { throw Empty() }
        return (leaf, chain.map { .certificate($0) })
    }

    private struct Empty: Error {}
}

/// One certificate from one file, its key from another.
final class CertificatePair: CertificateSource {
    let standard: ServerCertificate?

    private static let maxFileBytes = 1 << 20

    init(certificateFile: String, keyFile: String) throws(UnusableFile) {
        guard let pem = try CertificatePair.read(certificateFile), let (_, chain) = try? ServerCertificate.chain(pem) else {
            throw UnusableFile(path: certificateFile, problem: "is no chain of certificates in PEM")
        }
        guard let pem = try CertificatePair.read(keyFile), let key = try? NIOSSLPrivateKey(bytes: pem, format: .pem) else {
            throw UnusableFile(path: keyFile, problem: "is no private key in PEM")
        }
        standard = ServerCertificate(chain: chain, key: .privateKey(key))
    }

    private static func read(_ path: String) throws(UnusableFile) -> [UInt8]? {
        do throws(SystemError) { return try readSmallFile(path, maxBytes: maxFileBytes) } catch {
            throw UnusableFile(path: path, problem: error.reason)
        }
    }

    func certificate(for serverName: String) -> ServerCertificate? { nil }
    func refresh() -> Bool { false }
}

package struct UnusableFile: Error, CustomStringConvertible {
    package let path: String
    package let problem: String
    package var description: String { "\(path): \(problem)" }
}
