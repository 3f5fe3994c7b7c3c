internal import NIOCore
internal import NIOSSL
private import NIOTLS
private import ServerTLS

/// Below TLS: sees the server's first message, the only place where the cipher suite can be read.
final class HandshakeWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    weak var handler: NIOSSLClientHandler?
    var certificate: CertificateVerdict?
    private var cipher: UInt16?

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if cipher == nil { cipher = serverHelloCipher(unwrapInboundIn(data).readableBytesView) }
        context.fireChannelRead(data)
    }

    var details: ClientTLS.Details {
        ClientTLS.Details(
            version: handler?.tlsVersion == .tlsv13 ? "TLSv1.3" : "TLSv1.2", cipher: CipherSuite.name(cipher ?? 0),
            certificate: certificate ?? .unverified("was not checked"))
    }
}

/// Above TLS: says how the handshake ended, then goes away with the watch.
final class HandshakeEnd: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let watch: HandshakeWatch
    private let peer: ClientTLS.Peer
    private var done: ((ClientTLS.Outcome) -> Void)?

    init(_ watch: HandshakeWatch, _ peer: ClientTLS.Peer, _ done: @escaping (ClientTLS.Outcome) -> Void) {
        self.watch = watch
        self.peer = peer
        self.done = done
    }

    func handlerRemoved(context: ChannelHandlerContext) { end(.failed("the connection ended")) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.handshakeCompleted) = event as? TLSUserEvent else { return context.fireUserInboundEventTriggered(event) }
        end(.established(watch.details))
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        context.pipeline.syncOperations.removeHandler(watch, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.failed(reason(error)))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.failed("the connection ended"))
        context.fireChannelInactive()
    }

    private func end(_ outcome: ClientTLS.Outcome) {
        let done = self.done
        self.done = nil
        done?(outcome)
    }

    private func reason(_ error: any Error) -> String {
        if peer.mustBeVerified, case .unverified(let problem) = watch.certificate { return "the certificate \(problem)" }
        // Of BoringSSL's words only those that name the trouble: … SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER at …
        let words = "\(error)".split(separator: ":").lazy.compactMap { $0.split(separator: " ").first }
        let name = words.first {
            $0.count > 4 && $0.first?.isLetter == true && $0.allSatisfy { $0.isUppercase && $0.isASCII || $0 == "_" || $0.isNumber }
        }
        return name.map { $0.lowercased().replacing("_", with: " ") } ?? "the handshake was broken off"
    }
}
