internal import Addresses
private import Bytes
private import ClientConnections
private import ConnectionRules
internal import ControlFiles
private import Glibc
internal import Logins
internal import NIOCore
private import NIOPosix
private import Posix
private import ProxyProtocol
private import Reception
internal import RoleContext
internal import SMTPServer
internal import ServerTLS

/// All connections of one worker: it accepts, counts, watches the time and shuts down. Lives on its loop.
final class Server {
    private let loop: any NIOCore.EventLoop
    private let configuration: Watched<Configuration>
    private let workers: Int
    let queue: QueueClient
    let route: RouteClient
    let auth: AuthClient
    let tls: ServerTLS
    let lists: ListClient
    let checks: RecipientChecks
    /// Connections that began here, for names that no other has.
    private(set) var accepted: UInt64 = 0
    private let descriptors: Int
    private var listeners: [any NIOCore.Channel] = []
    private var gates: [AcceptGate] = []
    private var connections: [ObjectIdentifier: any Connection] = [:]
    private var perNetwork: [IPAddress: Int] = [:]
    /// Connections that are being refused.
    private var refusals = 0
    /// Connections of proxies that have not said yet whose they are.
    private var unnamed = 0
    private var stopped: EventLoopPromise<Void>?

    /// Descriptors kept for everything that is no connection of a client: logs, boundaries, control files, and what is accepted in one round.
    private static let reservedDescriptors = 100
    private static let checkEvery = TimeAmount.seconds(1)
    /// How long transactions may go on after SIGTERM.
    private static let shutdownTime = TimeAmount.seconds(10)
    /// A usual message comes in one read. The buffer of the last read stays with an idle connection, so it begins small.
    private static let readSizes = AdaptiveRecvByteBufferAllocator(minimum: 8 << 10, initial: 8 << 10, maximum: 64 << 10)

    init(on loop: any NIOCore.EventLoop, _ configuration: Watched<Configuration>, workers: Int) {
        self.loop = loop
        self.configuration = configuration
        self.workers = max(1, workers)
        queue = QueueClient(on: loop)
        route = RouteClient(on: loop)
        auth = AuthClient(on: loop)
        tls = ServerTLS(on: loop, role: "smtpd")
        lists = ListClient(on: loop)
        checks = RecipientChecks(on: loop)
        descriptors = descriptorLimit()
        queue.onWritable = { [unowned self] in
            for connection in connections.values { connection.resumeReading() }
        }
        loop.every(Self.checkEvery) { [weak self] in
            guard let self else { return false }
            for connection in Array(connections.values) { connection.checkDeadline() }
            return true
        }
    }

    /// Accepts from a socket that is bound already, and may be shared with other workers.
    func listen(_ door: Door, _ descriptor: Int32) -> EventLoopFuture<Void> {
        let this = NIOLoopBound(self, eventLoop: loop)
        return ServerBootstrap(group: loop)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let gate = AcceptGate(this.value)
                    this.value.gates.append(gate)
                    try channel.pipeline.syncOperations.addHandler(gate)
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.recvAllocator, value: Self.readSizes)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try this.value.accept(channel, door) }
            }
            .withBoundSocket(descriptor)
            .assumeIsolated()
            .map {
                restoreAcceptQueue(descriptor)
                this.value.listeners.append($0)
            }
            .nonisolated()
    }

    /// Whether there is a descriptor for one more connection.
    fileprivate var hasRoom: Bool { connections.count + refusals + unnamed + Self.reservedDescriptors < descriptors }

    // MARK: Connections

    private func accept(_ channel: any NIOCore.Channel, _ door: Door) throws {
        let configuration = self.configuration.refreshed()
        let peer = IPAddress(channel.remoteAddress)
        guard configuration.proxyClients.contains(peer) else { return try admit(channel, door, peer, nil, configuration) }
        unnamed += 1
        let name = ConnectionOrigin(address: peer).addressText.text
        let events = ProxyHeaderHandler.Events { [unowned self] channel, header in
            guard case .proxied(let client, let server) = header else { return try admit(channel, door, peer, nil, configuration) }
            try admit(channel, door, client, server, configuration)
        } failed: { failure in
            if failure != .closed { log("smtpd: proxy \(name) sent no PROXY header\(failure == .timeout ? " in time" : ""): connection closed") }
        } ended: { [unowned self] in
            unnamed -= 1
            roomChanged()
        }
        try channel.pipeline.syncOperations.addHandler(ProxyHeaderHandler(events))
    }

    /// - Parameter server: the address that the client connected to, when it is not this connection's own.
    private func admit(
        _ channel: any NIOCore.Channel, _ door: Door, _ address: IPAddress?, _ server: IPAddress?, _ configuration: Configuration
    ) throws {
        guard stopped == nil, case .allow(let assignments) = configuration.decision(for: address, door) else {
            return try refuse(channel, door, stopped == nil ? .notPermitted : .shuttingDown)
        }
        let limit = max(1, (configuration.concurrency + workers - 1) / workers)
        let isCrowded = address.map { perNetwork[$0.network, default: 0] >= configuration.concurrencyPerAddress } ?? false
        guard connections.count < limit, !isCrowded else { return try refuse(channel, door, .tooManyConnections) }
        let localHost = configuration.me ?? (server ?? IPAddress(channel.localAddress)).map { Array($0.description.utf8) } ?? Array("unknown".utf8)
        accepted &+= 1
        let connection = connection(at: door, Client(address, assignments, localHost: localHost), address, configuration) {
            [unowned self] connection in
            ended(connection, address)
        }
        connections[ObjectIdentifier(connection)] = connection
        if let address { perNetwork[address.network, default: 0] += 1 }
        try channel.pipeline.syncOperations.addHandler(connection)
    }

    private func refuse(_ channel: any NIOCore.Channel, _ door: Door, _ reply: Reply) throws {
        refusals += 1
        try channel.pipeline.syncOperations.addHandler(
            RefusalHandler(door.speaksInClear ? reply : nil) { [unowned self] in
                refusals -= 1
                roomChanged()
            })
    }

    private func ended(_ connection: any Connection, _ address: IPAddress?) {
        connections[ObjectIdentifier(connection)] = nil
        if let network = address?.network, let count = perNetwork[network] { perNetwork[network] = count > 1 ? count - 1 : nil }
        roomChanged()
        if connections.isEmpty { stopped?.succeed() }
    }

    private func roomChanged() {
        guard hasRoom else { return }
        for gate in gates { gate.open() }
    }

    // MARK: The end

    /// Stops accepting, lets transactions finish for a while, and ends when the last connection has.
    func stop() -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        stopped = promise
        for listener in listeners { listener.close(promise: nil) }
        for connection in Array(connections.values) { connection.beginShutdown() }
        if connections.isEmpty { promise.succeed() }
        loop.assumeIsolated().scheduleTask(in: Self.shutdownTime) { [self] in
            for connection in Array(connections.values) { connection.endShutdown() }
            promise.succeed()
        }
        let this = NIOLoopBound(self, eventLoop: loop)
        return promise.futureResult.map {
            this.value.queue.stop()
            this.value.route.stop()
            this.value.auth.stop()
            this.value.tls.stop()
            this.value.lists.stop()
        }
    }
}

/// Stops accepting while there is no descriptor for another connection: those who wait stay in the kernel's queue.
private final class AcceptGate: ChannelOutboundHandler {
    typealias OutboundIn = Never

    private unowned let server: Server
    private var context: ChannelHandlerContext?
    private var isWaiting = false

    init(_ server: Server) { self.server = server }

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

/// Says one reply, or nothing where the client waits for TLS or could not read it, and closes.
private final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let reply: Reply?
    private let onEnd: () -> Void

    init(_ reply: Reply?, onEnd: @escaping () -> Void) {
        self.reply = reply
        self.onEnd = onEnd
    }

    func channelActive(context: ChannelHandlerContext) {
        var bytes: [UInt8] = []
        reply?.encode(into: &bytes, for: .modern)
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
