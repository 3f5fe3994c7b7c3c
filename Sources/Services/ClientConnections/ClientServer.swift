package import Addresses
package import ConnectionRules
private import Glibc
package import NIOCore
private import NIOPosix
private import Posix
private import ProxyProtocol

/// One client's connection, as the server that accepted it sees it: the last handler of its channel.
package protocol ClientConnection: ChannelHandler {
    /// To be called once when the connection is no more; the server sets it.
    var onEnd: () -> Void { get set }
    /// What reading waited for may be there: see ``ClientServer/resumeReading()``.
    func resumeReading()
    func checkDeadline()
    /// The process is to end: say so, and finish what is under way.
    func beginShutdown()
    func endShutdown()
}

/// What a process with clients does whatever they speak: it accepts while there are descriptors, hears proxies out, counts connections in all and for
/// each network, has deadlines looked at, and stops in order. Lives on its loop.
package final class ClientServer {
    package struct Limits {
        /// Of this process.
        package var connections: Int
        /// Of one IPv4 host or IPv6 network.
        package var connectionsPerNetwork: Int
        /// Proxies, whose connections begin with a PROXY header.
        package var proxies: Networks

        package init(connections: Int, connectionsPerNetwork: Int, proxies: Networks) {
            self.connections = connections
            self.connectionsPerNetwork = connectionsPerNetwork
            self.proxies = proxies
        }
    }

    /// A client that has just connected.
    package struct Arrival {
        package let channel: any NIOCore.Channel
        /// Nil on a UNIX socket.
        package let client: IPAddress?
        /// What the client connected to, when that is not this socket's own address.
        package let server: IPAddress?
        /// Why it can only be refused; nil when it need not be.
        package let obstacle: Obstacle?
    }

    package enum Obstacle {
        case tooManyConnections
        case shuttingDown
    }

    package enum Welcome {
        case connection(any ClientConnection)
        /// These bytes, and the end.
        case refusal([UInt8])
    }

    private let role: String
    package let loop: any NIOCore.EventLoop
    private let limits: () -> Limits
    private let descriptors = descriptorLimit()
    private var listeners: [any NIOCore.Channel] = []
    private var gates: [AcceptGate] = []
    private var connections: [ObjectIdentifier: any ClientConnection] = [:]
    private var perNetwork: [IPAddress: Int] = [:]
    /// Connections that are being refused, or of proxies that have not said yet whose they are.
    private var others = 0
    private var stopped: EventLoopPromise<Void>?

    /// Descriptors kept for everything that is no connection of a client: logs, boundaries, control files, and what is accepted in one round.
    private static let reservedDescriptors = 100
    private let descriptorsPerConnection: Int
    private static let checkEvery = TimeAmount.seconds(1)
    /// How long connections may go on after SIGTERM.
    private static let shutdownTime = TimeAmount.seconds(10)
    /// The buffer of the last read stays with an idle connection, so it begins small.
    private static let readSizes = AdaptiveRecvByteBufferAllocator(minimum: 8 << 10, initial: 8 << 10, maximum: 64 << 10)

    /// - Parameters:
    ///   - role: begins log lines.
    ///   - limits: asked at each connection.
    package init(on loop: any NIOCore.EventLoop, role: String, descriptorsPerConnection: Int, limits: @escaping () -> Limits) {
        self.loop = loop
        self.role = role
        self.limits = limits
        self.descriptorsPerConnection = descriptorsPerConnection
        watch()
    }

    /// Accepts from a socket that is bound already, and may be shared with other processes.
    package func listen(_ descriptor: Int32, _ welcome: @escaping (Arrival) throws -> Welcome) -> EventLoopFuture<Void> {
        let this = NIOLoopBound((server: self, welcome: welcome), eventLoop: loop)
        return ServerBootstrap(group: loop)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let gate = AcceptGate(this.value.server)
                    this.value.server.gates.append(gate)
                    try channel.pipeline.syncOperations.addHandler(gate)
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.recvAllocator, value: Self.readSizes)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try this.value.server.accept(channel, this.value.welcome) }
            }
            .withBoundSocket(descriptor)
            .assumeIsolated()
            .map {
                restoreAcceptQueue(descriptor)
                this.value.server.listeners.append($0)
            }
            .nonisolated()
    }

    /// Whether there is a descriptor for one more connection.
    fileprivate var hasRoom: Bool { connections.count * descriptorsPerConnection + others + Self.reservedDescriptors < descriptors }

    /// Something that all connections give their clients' bytes to takes more again.
    package func resumeReading() { for connection in connections.values { connection.resumeReading() } }

    private func watch() {
        loop.assumeIsolated().scheduleTask(in: Self.checkEvery) { [weak self] in
            guard let self else { return }
            for connection in Array(connections.values) { connection.checkDeadline() }
            watch()
        }
    }

    // MARK: - Connections

    private func accept(_ channel: any NIOCore.Channel, _ welcome: @escaping (Arrival) throws -> Welcome) throws {
        let limits = self.limits()
        let peer = IPAddress(channel.remoteAddress)
        guard limits.proxies.contains(peer) else { return try admit(channel, peer, nil, limits, welcome) }
        others += 1
        let events = ProxyHeaderHandler.Events { [unowned self] channel, header in
            guard case .proxied(let client, let server) = header else { return try admit(channel, peer, nil, limits, welcome) }
            try admit(channel, client, server, limits, welcome)
        } failed: { [unowned self] failure in
            let name = ConnectionOrigin(address: peer).addressText.text
            if failure != .closed { log("\(role): proxy \(name) sent no PROXY header\(failure == .timeout ? " in time" : ""): connection closed") }
        } ended: { [unowned self] in
            others -= 1
            roomChanged()
        }
        try channel.pipeline.syncOperations.addHandler(ProxyHeaderHandler(events))
    }

    private func admit(
        _ channel: any NIOCore.Channel, _ client: IPAddress?, _ server: IPAddress?, _ limits: Limits, _ welcome: (Arrival) throws -> Welcome
    ) throws {
        let handler: any ChannelHandler
        switch try welcome(Arrival(channel: channel, client: client, server: server, obstacle: obstacle(client, limits))) {
        case .refusal(let bytes):
            others += 1
            handler = RefusalHandler(bytes) { [unowned self] in
                others -= 1
                roomChanged()
            }
        case .connection(let connection):
            connections[ObjectIdentifier(connection)] = connection
            if let client { perNetwork[client.network, default: 0] += 1 }
            connection.onEnd = { [unowned self, unowned connection] in ended(connection, client) }
            handler = connection
        }
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    private func obstacle(_ client: IPAddress?, _ limits: Limits) -> Obstacle? {
        guard stopped == nil else { return .shuttingDown }
        let ofNetwork = client.map { perNetwork[$0.network, default: 0] } ?? 0
        return connections.count < limits.connections && ofNetwork < limits.connectionsPerNetwork ? nil : .tooManyConnections
    }

    private func ended(_ connection: any ClientConnection, _ client: IPAddress?) {
        guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        if let network = client?.network, let count = perNetwork[network] { perNetwork[network] = count > 1 ? count - 1 : nil }
        roomChanged()
        if connections.isEmpty { stopped?.succeed() }
    }

    private func roomChanged() {
        guard hasRoom else { return }
        for gate in gates { gate.open() }
    }

    // MARK: - The end

    /// Stops accepting, lets connections finish for a while, and ends when the last one has.
    package func stop() -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        stopped = promise
        for listener in listeners { listener.close(promise: nil) }
        for connection in Array(connections.values) { connection.beginShutdown() }
        if connections.isEmpty { promise.succeed() }
        loop.assumeIsolated().scheduleTask(in: Self.shutdownTime) { [self] in
            for connection in Array(connections.values) { connection.endShutdown() }
            promise.succeed()
        }
        return promise.futureResult
    }
}

/// Stops accepting while there is no descriptor for another connection: those who wait stay in the kernel's queue.
private final class AcceptGate: ChannelOutboundHandler {
    typealias OutboundIn = Never

    private unowned let server: ClientServer
    private var context: ChannelHandlerContext?
    private var isWaiting = false

    init(_ server: ClientServer) { self.server = server }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func read(context: ChannelHandlerContext) {
        if server.hasRoom { context.read() } else { isWaiting = true }
    }

    func open() {
        guard isWaiting else { return }
        isWaiting = false
        context?.read()
    }
}

/// Says why and closes.
private final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let bytes: [UInt8]
    private let onEnd: () -> Void

    init(_ bytes: [UInt8], onEnd: @escaping () -> Void) {
        self.bytes = bytes
        self.onEnd = onEnd
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        channel.writeAndFlush(ByteBuffer(bytes: bytes)).whenComplete { _ in channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { onEnd() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// How many descriptors this process may have, raised to what it is allowed.
private func descriptorLimit() -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
    if limit.rlim_cur < limit.rlim_max {
        var raised = limit
        raised.rlim_cur = limit.rlim_max
        if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
    }
    return Int(min(limit.rlim_cur, 1 << 20))
}
