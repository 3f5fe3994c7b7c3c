package import NIOCore
private import NIOSSL
private import Posix

/// TLS to other hosts. Lives on one event loop.
///
/// Whoever's a certificate is, the handshake goes on unless it must be the host's: then what may be trusted decides, else it is only told.
///
/// It must not know what is spoken inside, nor why a certificate must be verified.
package final class ClientTLS {
    /// Who a host must be.
    package struct Peer: Sendable {
        /// In A-labels; nil: whoever has this address.
        package var name: String?
        package var address: String
        /// Without it the connection does not come about.
        package var mustBeVerified: Bool

        package init(name: String?, address: String, mustBeVerified: Bool) {
            self.name = name
            self.address = address
            self.mustBeVerified = mustBeVerified
        }
    }

    /// What a connection turned out to be.
    package struct Details: Sendable {
        /// `TLSv1.3`
        package let version: String
        /// IANA's name of the suite.
        package let cipher: String
        package let certificate: CertificateVerdict
    }

    package enum Outcome: Sendable {
        case established(Details)
        /// Why, for people. The connection is being closed.
        case failed(String)
    }

    private let context: NIOSSLContext
    /// How long the other side's close_notify is waited for.
    private static let closeTime = TimeAmount.seconds(2)

    package init() throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        // Certificates are judged by `TrustedAuthorities`. These two only keep BoringSSL from not asking.
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates([])
        configuration.shutdownTimeout = Self.closeTime
        context = try NIOSSLContext(configuration: configuration)
    }

    /// Begins TLS on a connection whose bytes are all used up: everything that comes is TLS, everything that is written leaves inside it.
    /// - Parameters:
    ///   - done: called once, on the loop. Data from inside follows it.
    package func begin(
        on channel: any Channel, with peer: Peer, trusting authorities: TrustedAuthorities, done: @escaping (Outcome) -> Void
    ) throws {
        let watch = HandshakeWatch()
        let loop = channel.eventLoop
        let handler = try NIOSSLClientHandler(context: context, serverHostname: peer.name) { chain, promise in
            let certificates = chain.map { (try? $0.toDERBytes()) ?? [] }
            // The check of a chain takes milliseconds, which are not the loop's.
            let verdict = loop.makeFutureWithTask { await authorities.judge(certificates, of: peer) }
            verdict.assumeIsolated().whenComplete { result in
                let verdict = (try? result.get()) ?? .unverified("could not be checked")
                watch.certificate = verdict
                promise.succeed(peer.mustBeVerified && verdict != .verified ? .failed : .certificateVerified)
            }
        }
        watch.handler = handler
        let end = HandshakeEnd(watch, peer, done)
        try channel.pipeline.syncOperations.addHandlers([watch, handler, end], position: .first)
    }
}
