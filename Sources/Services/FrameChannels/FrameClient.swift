package import Frames
package import NIOCore
private import NIOPosix

/// A connection to a stream boundary, on a SwiftNIO loop: frames out, frames in, and always there again after the other side died.
///
/// Lives on its loop: every call and every callback. Frames sent within one turn of the loop leave in one write. What was sent and not answered when
/// a connection is lost is its users' to fail, in ``Events/disconnected``; nothing is sent twice.
///
/// It must not know what the frames say.
package final class FrameClient {
    /// What the user hears.
    package struct Events {
        /// A connection stands. Frames sent from here are its first.
        package var connected: () -> Void = {}
        /// A frame came; what it throws closes the connection.
        package var frame: (Frame) throws(FrameError) -> Void = { _ in }
        /// It is lost: with it all that was under way.
        package var disconnected: () -> Void = {}
        /// ``FrameClient/isWritable`` became true again.
        package var writable: () -> Void = {}
        package init() {}
    }

    package var events = Events()

    private let path: String
    private let loop: any EventLoop
    private let maxLength: Int
    private var channel: (any Channel)?
    private var output: [UInt8] = []
    private var flushIsDue = false
    private var delay = FrameClient.firstDelay
    private var isStopped = false

    private static let firstDelay = TimeAmount.milliseconds(50)
    private static let longestDelay = TimeAmount.seconds(1)
    /// Bytes that may wait for the peer: beyond the upper number ``isWritable`` is false until they are fewer than the lower.
    private static let waterMarks = ChannelOptions.Types.WriteBufferWaterMark(low: 256 << 10, high: 1 << 20)
    /// Memory that is kept for the next turn's frames.
    private static let keptOutput = 1 << 18

    /// - Parameters:
    ///   - path: of the socket.
    ///   - maxLength: of frames that the peer may send.
    package init(_ path: String, on loop: any EventLoop, maxLength: Int) {
        self.path = path
        self.loop = loop
        self.maxLength = maxLength
    }

    package var isConnected: Bool { channel != nil }

    /// False when the peer does not keep up, or is not there.
    package var isWritable: Bool { channel?.isWritable ?? false }

    /// Connects, again and again until ``stop()``.
    package func start() {
        guard !isStopped else { return }
        let this = NIOLoopBound(self, eventLoop: loop)
        ClientBootstrap(group: loop)
            .channelOption(.writeBufferWaterMark, value: Self.waterMarks)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FrameHandler(this.value, maxLength: this.value.maxLength))
                }
            }
            .connect(unixDomainSocketPath: path)
            .assumeIsolated()
            .whenFailure { _ in this.value.retry() }
    }

    /// Closes the connection once everything is sent; nothing is called any more.
    package func stop() {
        isStopped = true
        flush()
        channel?.close(promise: nil)
        channel = nil
        events = Events()
    }

    /// Queues frames for the end of this turn; `encode` appends them. Dropped when there is no connection.
    package func send(_ encode: (inout [UInt8]) -> Void) {
        guard channel != nil else { return }
        encode(&output)
        guard !flushIsDue else { return }
        flushIsDue = true
        loop.assumeIsolated().execute { [self] in flush() }
    }

    private func flush() {
        flushIsDue = false
        guard let channel, !output.isEmpty else { return }
        channel.writeAndFlush(ByteBuffer(bytes: output), promise: nil)
        output.removeAll(keepingCapacity: output.capacity <= Self.keptOutput)
    }

    private func retry() {
        guard !isStopped else { return }
        loop.assumeIsolated().scheduleTask(in: delay) { [self] in start() }
        delay = min(delay * 2, Self.longestDelay)
    }

    fileprivate func opened(_ channel: any Channel) {
        guard !isStopped else { return channel.close(promise: nil) }
        self.channel = channel
        delay = Self.firstDelay
        events.connected()
    }

    fileprivate func lost(_ channel: any Channel) {
        guard self.channel === channel else { return }
        self.channel = nil
        output = []
        events.disconnected()
        retry()
    }
}

/// Cuts what comes into frames.
private final class FrameHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let client: FrameClient
    private var decoder: FrameDecoder

    init(_ client: FrameClient, maxLength: Int) {
        self.client = client
        decoder = FrameDecoder(maxLength: maxLength)
    }

    func channelActive(context: ChannelHandlerContext) { client.opened(context.channel) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        unwrapInboundIn(data).withUnsafeReadableBytes { decoder.append($0) }
        do {
            while let frame = try decoder.next() { try client.events.frame(frame) }
        } catch {
            context.close(promise: nil)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { client.events.writable() }
    }

    func channelInactive(context: ChannelHandlerContext) { client.lost(context.channel) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
