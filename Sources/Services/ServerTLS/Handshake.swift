private import Bytes
internal import NIOCore
internal import NIOSSL
private import NIOTLS
internal import Reception

/// Below TLS: sees the server's first message, the only place where the cipher suite can be read, and tells which connection a callback is about.
final class HandshakeObserver: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    private unowned let tls: ServerTLS
    var serverName: [UInt8]?
    private(set) var cipher: UInt16?

    init(_ tls: ServerTLS) { self.tls = tls }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        tls.handshake = self
        context.fireChannelRead(data)
        tls.handshake = nil
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if cipher == nil { cipher = serverHelloCipher(unwrapOutboundIn(data).readableBytesView) }
        context.write(data, promise: promise)
    }
}

/// The cipher suite in a record that begins with a ServerHello (RFC 8446 §4.1.3, RFC 5246 §7.4.1.3; a HelloRetryRequest names the same one).
///
///     record: type(1)=22 version(2) length(2)
///     message: type(1)=2 length(3) version(2) random(32) session-id<0..32> cipher-suite(2)
package func serverHelloCipher(_ bytes: some Collection<UInt8>) -> UInt16? {
    var reader = ByteReader(Array(bytes.prefix(128))[...])
    guard reader.number(UInt8.self) == 22, reader.bytes(4) != nil, reader.number(UInt8.self) == 2, reader.bytes(3 + 2 + 32) != nil,
        let idLength = reader.number(UInt8.self), reader.bytes(Int(idLength)) != nil
    else { return nil }
    return reader.number(UInt16.self)?.byteSwapped
}

/// Above TLS: says how the handshake ended, then goes away with the observer.
final class HandshakeEnd: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let observer: HandshakeObserver
    private let handler: NIOSSLServerHandler
    private let limit: TimeAmount
    private var done: ((ServerTLS.Outcome) -> Void)?
    private var deadline: Scheduled<Void>?

    init(_ observer: HandshakeObserver, _ handler: NIOSSLServerHandler, limit: TimeAmount, _ done: @escaping (ServerTLS.Outcome) -> Void) {
        self.observer = observer
        self.handler = handler
        self.limit = limit
        self.done = done
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { end(.failed) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.handshakeCompleted) = event as? TLSUserEvent else { return context.fireUserInboundEventTriggered(event) }
        end(.established(details))
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        context.pipeline.syncOperations.removeHandler(observer, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.failed)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.failed)
        context.fireChannelInactive()
    }

    private func end(_ outcome: ServerTLS.Outcome) {
        deadline?.cancel()
        deadline = nil
        let done = self.done
        self.done = nil
        done?(outcome)
    }

    private var details: TLSDetails {
        TLSDetails(
            version: Array((handler.tlsVersion == .tlsv13 ? "TLSv1.3" : "TLSv1.2").utf8), cipher: Array(CipherSuite.name(observer.cipher ?? 0).utf8),
            serverName: observer.serverName.flatMap { $0.isHostName ? $0 : nil })
    }
}

extension [UInt8] {
    /// Letters, digits, hyphens and dots: what may stand in an environment and in a header.
    fileprivate var isHostName: Bool { !isEmpty && count <= 255 && allSatisfy { $0.isLetter || $0.isDigit || $0 == ASCII.hyphen || $0 == ASCII.dot } }
}
