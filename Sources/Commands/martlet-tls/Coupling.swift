internal import NIOCore

/// One of two channels that pass on to each other what they read, no faster than it is taken.
final class Coupling: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// When nothing more comes from the partner this side ends altogether; otherwise it may still speak.
    private let endsWhole: Bool
    private var partner: Coupling?
    private var context: ChannelHandlerContext?
    /// What came before there was a partner: no more than one read, for no other is asked for.
    private var early: [ByteBuffer] = []
    private var readIsHeld = false
    private var inputIsClosed = false
    private var hasEnded = false
    private var onEnd: () -> Void = {}

    init(endsWhole: Bool) { self.endsWhole = endsWhole }

    /// Both sides begin to read.
    func join(_ other: Coupling) {
        partner = other
        other.partner = self
        for side in [self, other] { side.joined() }
    }

    /// Calls `body` when this side's connection is closed.
    func whenEnded(_ body: @escaping () -> Void) { if hasEnded { body() } else { onEnd = body } }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        joined()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        if let partner, partner.isActive { partner.take(buffer) } else { early.append(buffer) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent else { return context.fireUserInboundEventTriggered(event) }
        inputIsClosed = true
        if early.isEmpty { partner?.finish() }
    }

    /// Read on while TLS itself has to, and when the partner takes more.
    func read(context: ChannelHandlerContext) {
        if mayRead { context.read() } else { readIsHeld = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) { partner?.resume() }

    func channelInactive(context: ChannelHandlerContext) { end() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private var isActive: Bool { context?.channel.isActive ?? false }

    private var mayRead: Bool {
        guard let partner else { return early.isEmpty }
        return partner.context?.channel.isWritable ?? true
    }

    private func joined() {
        guard let partner, isActive, partner.isActive else { return }
        for side in [self, partner] { side.handOver() }
    }

    private func handOver() {
        let waiting = early
        early = []
        for buffer in waiting { partner?.take(buffer) }
        if inputIsClosed { partner?.finish() } else { resume() }
    }

    private func take(_ buffer: ByteBuffer) { context?.writeAndFlush(wrapOutboundOut(buffer), promise: nil) }

    private func resume() {
        guard readIsHeld, mayRead else { return }
        readIsHeld = false
        context?.read()
    }

    /// Nothing more comes from the partner.
    private func finish() {
        guard let channel = context?.channel else { return }
        let mode: CloseMode = endsWhole ? .all : .output
        // Behind what is still to be taken.
        channel.writeAndFlush(ByteBuffer()).whenComplete { _ in channel.close(mode: mode, promise: nil) }
    }

    private func end() {
        guard !hasEnded else { return }
        hasEnded = true
        context = nil
        let partner = self.partner
        self.partner = nil
        partner?.context?.close(promise: nil)
        onEnd()
    }
}
