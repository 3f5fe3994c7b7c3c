internal import Frames
package import NIOCore
internal import NIOSSL
private import NIOTLS
private import Posix
package import Reception

/// TLS for the clients of one process: certificates from `tls/`, signatures from role keys. Lives on its loop.
///
/// Each service has a context of its own, and with it its own keys for session tickets: what was begun with one service cannot be continued with
/// another. What clients send leaves nothing behind here: the only names known are those of the folders in `tls/`.
///
/// It must not know what is spoken inside, and never sees a private key.
package final class ServerTLS {
    /// How an attempt to encrypt a connection ended.
    package enum Outcome: Sendable {
        case established(TLSDetails)
        /// The connection is being closed.
        case failed
    }

    private let loop: any NIOCore.EventLoop
    private let role: String
    private let keys: KeyClient?
    private let certificates: any CertificateSource
    private var contexts: [String: NIOSSLContext] = [:]
    private var hasComplained = false
    /// The handshake whose bytes are being handled, for the callback that learns the server name.
    var handshake: HandshakeObserver?

    /// Seconds from the first byte to the end of the handshake.
    package static let handshakeTime = TimeAmount.seconds(30)
    /// How long the other side's close_notify is waited for.
    private static let closeTime = TimeAmount.seconds(2)

    /// - Parameter role: begins log lines.
    package init(on loop: any NIOCore.EventLoop, role: String) {
        self.loop = loop
        self.role = role
        let keys = KeyClient(on: loop, role: role)
        let client = NIOLoopBound(keys, eventLoop: loop)
        certificates = CertificateFolder(role: role) { .privateKey(NIOSSLPrivateKey(customPrivateKey: RemoteKey(name: $0, client: client))) }
        self.keys = keys
    }

    /// With one certificate, and its key in this process: for a program that serves one connection.
    /// - Throws: ``UnusableFile``
    package init(on loop: any NIOCore.EventLoop, role: String, certificateFile: String, keyFile: String) throws {
        self.loop = loop
        self.role = role
        keys = nil
        certificates = try CertificatePair(certificateFile: certificateFile, keyFile: keyFile)
    }

    package func stop() { keys?.stop() }

    /// Whether there is a certificate to show. Looks for changed files, at most once a second.
    package func isAvailable() -> Bool {
        if certificates.refresh() { contexts = [:] }
        if certificates.standard != nil { hasComplained = false }
        return certificates.standard != nil
    }

    /// Encrypts a connection from here on: everything that comes is TLS, everything that is written leaves inside it. What was read before must have
    /// been used up or refused.
    /// - Parameters:
    ///   - service: whose tickets are good here.
    ///   - done: called once, on the loop. Data from inside follows it.
    /// - Throws: when there is no certificate, or the channel is gone.
    package func begin(on channel: any Channel, for service: String, done: @escaping (Outcome) -> Void) throws {
        let observer = HandshakeObserver(self)
        let handler = NIOSSLServerHandler(context: try context(for: service))
        let end = HandshakeEnd(observer, handler, limit: Self.handshakeTime, done)
        try channel.pipeline.syncOperations.addHandlers([observer, handler, end], position: .first)
    }

    private func context(for service: String) throws -> NIOSSLContext {
        guard isAvailable(), let standard = certificates.standard else {
            if !hasComplained { log("\(role): warning: there is no certificate in tls/: clients of \(service) are sent away") }
            hasComplained = true
            throw NoCertificate()
        }
        if let known = contexts[service] { return known }
        let context = try NIOSSLContext(configuration: configuration(standard))
        contexts[service] = context
        return context
    }

    private func configuration(_ standard: ServerCertificate) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: standard.chain, privateKey: standard.key)
        configuration.minimumTLSVersion = .tlsv12
        configuration.cipherSuiteValues = CipherSuite.offered
        configuration.renegotiationSupport = .none
        configuration.shutdownTimeout = Self.closeTime
        let this = NIOLoopBound(self, eventLoop: loop)
        configuration.sslContextCallback = { values, promise in promise.succeed(this.value.choose(values.serverHostname)) }
        return configuration
    }

    /// The certificate for a server name; the standard one stays for a name that is not known.
    private func choose(_ serverName: String?) -> NIOSSLContextConfigurationOverride {
        guard let serverName else { return .noChanges }
        handshake?.serverName = Array(serverName.utf8)
        var changes = NIOSSLContextConfigurationOverride()
        guard let certificate = certificates.certificate(for: serverName) else { return changes }
        changes.certificateChain = certificate.chain
        changes.privateKey = certificate.key
        return changes
    }

    package struct NoCertificate: Error {}
}
