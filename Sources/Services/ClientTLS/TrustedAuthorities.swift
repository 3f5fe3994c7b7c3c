private import ControlFiles
private import FoundationEssentials
private import NIOSSL
private import Posix
private import Synchronization
private import X509

/// What is known of a host's certificate.
package enum CertificateVerdict: Equatable, Sendable {
    /// It is the host's, says an authority that we trust.
    case verified
    /// What is wrong with it, behind "the certificate".
    case unverified(String)
}

/// The authorities of a file of certificates (PEM), read again when it changes.
package final class TrustedAuthorities: Sendable {
    /// Debian's ca-certificates.
    package static let standardFile = "/etc/ssl/certs/ca-certificates.crt"
    /// What a host may send. RFC 5280 sets no limit, but each costs a check of a signature.
    private static let maxChain = 10

    private struct Loaded {
        var state: FileState?
        var store = CertificateStore()
    }

    private let file: String
    private let loaded = Mutex(Loaded())

    package init(_ file: String = TrustedAuthorities.standardFile) { self.file = file }

    /// - Parameter chain: DER, the host's own first.
    func judge(_ chain: [[UInt8]], of peer: ClientTLS.Peer) async -> CertificateVerdict {
        guard chain.count <= Self.maxChain else { return .unverified("comes with too many others") }
        let certificates = chain.map { try? Certificate(derEncoded: $0) }
        guard let first = certificates.first, let leaf = first else { return .unverified("cannot be read") }
        let now = Date()
        if now < leaf.notValidBefore { return .unverified("is not valid yet") }
        if now > leaf.notValidAfter { return .unverified("has expired") }
        let intermediates = CertificateStore(Self.distinct(certificates.dropFirst().compactMap { $0 }))
        var whole = Verifier(rootCertificates: store()) {
            RFC5280Policy()
            // An address has no name to ask for; a name counts wherever it lives.
            ServerIdentityPolicy(serverHostname: peer.name, serverIP: peer.name == nil ? peer.address : nil)
        }
        if case .validCertificate = await whole.validate(leaf: leaf, intermediates: intermediates) { return .verified }
        // Why not, is only for people.
        var trust = Verifier(rootCertificates: store()) { RFC5280Policy() }
        if case .validCertificate = await trust.validate(leaf: leaf, intermediates: intermediates) {
            return .unverified("is not of \(peer.name ?? peer.address)")
        }
        return .unverified("is of no authority that is trusted here")
    }

    /// One of each name and key. Many would follow each other in any order, and a host could have us try all of them, for minutes.
    private static func distinct(_ certificates: [Certificate]) -> [Certificate] {
        certificates.reduce(into: []) { distinct, certificate in
            guard !distinct.contains(where: { $0.subject == certificate.subject && $0.publicKey == certificate.publicKey }) else { return }
            distinct.append(certificate)
        }
    }

    private func store() -> CertificateStore {
        let state = FileState.of(file)
        return loaded.withLock { loaded in
            if loaded.state != state { loaded = Loaded(state: state, store: load()) }
            return loaded.store
        }
    }

    /// Of what cannot be read nobody is trusted.
    private func load() -> CertificateStore {
        do {
            let certificates = try NIOSSLCertificate.fromPEMFile(file)
            return CertificateStore(certificates.compactMap { try? Certificate(derEncoded: $0.toDERBytes()) })
        } catch {
            log("warning: remote trusts no certificate: \(file) cannot be read, or holds none")
            return CertificateStore()
        }
    }
}
