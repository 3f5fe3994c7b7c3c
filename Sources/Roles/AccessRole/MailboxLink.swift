private import Boundaries
private import CPosix
private import Frames
private import Glibc
internal import NIOCore
private import NIOPosix
private import Posix

/// Our end of the socket pair whose other end a store worker has, or will have: auth passes it on to lspawn for the ticket of a login.
///
/// Lives on its loop. What is written before the channel stands waits.
final class MailboxLink {
    struct Events {
        var received: (ByteBuffer) -> Void = { _ in }
        /// What came together has all come.
        var readComplete: () -> Void = {}
        /// The worker has said all, or never was.
        var ended: () -> Void = {}
        /// ``MailboxLink/isWritable`` became true again.
        var writable: () -> Void = {}
        /// Whether what the worker says is wanted now.
        var mayRead: () -> Bool = { true }
    }

    var events = Events()
    private let loop: any NIOCore.EventLoop
    private var channel: (any NIOCore.Channel)?
    private var early: [ByteBuffer] = []
    private var inputEnds = false
    private var isClosed = false
    private weak var reader: LinkHandler?

    /// A message of usual size comes in one read, and many small ones do.
    private static let readSizes = AdaptiveRecvByteBufferAllocator(minimum: 4 << 10, initial: 16 << 10, maximum: 256 << 10)

    init(ticket: [UInt8], on loop: any NIOCore.EventLoop) throws {
        self.loop = loop
        var ends: [Int32] = [-1, -1]
        try check("socketpair") { socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) }
        let ours = Posix.FileDescriptor(owning: ends[0])
        let theirs = Posix.FileDescriptor(owning: ends[1])
        try Self.send(theirs, ticket)
        connect(ours.release())
    }

    /// To auth: ``Mailbox/Opening``.
    private static func send(_ end: borrowing Posix.FileDescriptor, _ ticket: [UInt8]) throws(SystemError) {
        let connection = try Boundary.mailbox.connect()
        let packet = Mailbox.Opening(ticket: ticket[...]).encode()
        let (socket, descriptor) = (connection.raw, end.raw)
        try check("send", Boundary.mailbox.path) {
            packet.withUnsafeBytes { bytes in
                var part = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
                return martlet_send(socket, &part, 1, descriptor, Int32(MSG_DONTWAIT))
            }
        }
    }

    private func connect(_ descriptor: Int32) {
        let this = NIOLoopBound(self, eventLoop: loop)
        ClientBootstrap(group: loop)
            .channelOption(.allowRemoteHalfClosure, value: false)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.recvAllocator, value: Self.readSizes)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(LinkHandler(this.value)) }
            }
            .withConnectedSocket(descriptor)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success(let channel): this.value.connected(channel)
                case .failure: this.value.lost()
                }
            }
    }

    private func connected(_ channel: any NIOCore.Channel) {
        guard !isClosed else { return channel.close(promise: nil) }
        self.channel = channel
        reader = try? channel.pipeline.syncOperations.handler(type: LinkHandler.self)
        for buffer in early { channel.write(buffer, promise: nil) }
        early = []
        channel.flush()
        if inputEnds { endInput() }
        events.writable()
    }

    // MARK: - To the worker

    var isWritable: Bool { channel?.isWritable ?? early.isEmpty }

    func write(_ buffer: ByteBuffer) {
        guard !isClosed, buffer.readableBytes > 0 else { return }
        if let channel { channel.write(buffer, promise: nil) } else { early.append(buffer) }
    }

    func flush() { channel?.flush() }

    /// The client says no more; it may still listen.
    func endInput() {
        inputEnds = true
        guard let channel else { return }
        // An empty write behind all others, so that none is dropped.
        channel.writeAndFlush(ByteBuffer()).whenComplete { _ in channel.close(mode: .output, promise: nil) }
    }

    /// Nothing is called any more.
    func close() {
        isClosed = true
        events = Events()
        channel?.close(promise: nil)
    }

    // MARK: - From the worker

    /// The client takes more again.
    func resumeReading() { reader?.resume() }

    fileprivate func lost() {
        let ended = events.ended
        close()
        ended()
    }
}

/// Carries what the worker says to the link.
private final class LinkHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    private let link: MailboxLink
    private var context: ChannelHandlerContext?
    private var readIsHeld = false

    init(_ link: MailboxLink) { self.link = link }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { link.events.received(unwrapInboundIn(data)) }
    func channelReadComplete(context: ChannelHandlerContext) { link.events.readComplete() }
    func channelInactive(context: ChannelHandlerContext) { link.lost() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { link.events.writable() }
    }

    func read(context: ChannelHandlerContext) {
        if link.events.mayRead() { context.read() } else { readIsHeld = true }
    }

    func resume() {
        guard readIsHeld, link.events.mayRead() else { return }
        readIsHeld = false
        context?.read()
    }
}
