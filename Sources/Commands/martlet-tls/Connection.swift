private import Glibc
internal import NIOCore
private import NIOPosix
private import Posix
internal import Reception
private import ServerTLS

/// The client's connection, and the loop that carries it.
struct Connection {
    private let group: MultiThreadedEventLoopGroup
    private let tls: NIOLoopBound<ServerTLS>
    private let outside: NIOLoopBound<Coupling>

    /// For tickets, which end with this process anyway.
    private static let service = "martlet-tls"

    /// Takes the certificate at hand; goes to the mail system's home if it is there.
    init(_ call: Call) throws {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        if call.certificateFile == nil { try check("chdir", Call.home) { chdir(Call.home) } }
        try call.requireFiles()
        let files = (call.certificateFile, call.keyFile)
        tls = try loop.submit {
            guard case (let certificate?, let key?) = files else { return NIOLoopBound(ServerTLS(on: loop, role: "martlet-tls"), eventLoop: loop) }
            return NIOLoopBound(try ServerTLS(on: loop, role: "martlet-tls", certificateFile: certificate, keyFile: key), eventLoop: loop)
        }.wait()
        outside = try loop.submit { NIOLoopBound(Coupling(endsWhole: true), eventLoop: loop) }.wait()
    }

    /// - Parameter descriptor: the client's socket; a copy is used.
    /// - Returns: nil when the handshake failed.
    func encrypt(_ descriptor: Int32) throws -> TLSDetails? {
        let socket = try check("dup", "0") { fcntl(descriptor, F_DUPFD_CLOEXEC, 3) }
        let loop = group.next()
        let outcome = loop.makePromise(of: TLSDetails?.self)
        let (tls, outside) = (self.tls, self.outside)
        let channel = ClientBootstrap(group: group)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(outside.value)
                    try tls.value.begin(on: channel, for: Self.service) { result in
                        if case .established(let details) = result { outcome.succeed(details) } else { outcome.succeed(nil) }
                    }
                }
            }
            .withConnectedSocket(socket)
        channel.whenFailure { outcome.fail($0) }
        return try outcome.futureResult.wait()
    }

    /// - Parameter descriptor: our end of what the program has; it is closed with the connection.
    func join(_ descriptor: Int32) throws {
        let outside = self.outside
        _ = try ClientBootstrap(group: group)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let inside = Coupling(endsWhole: false)
                    try channel.pipeline.syncOperations.addHandler(inside)
                    inside.join(outside.value)
                }
            }
            .withConnectedSocket(descriptor)
            .wait()
    }

    /// Waits until the client has all that the program said, or `limit` is over.
    func drain(_ limit: TimeAmount) {
        let (loop, outside) = (group.next(), self.outside)
        let end = loop.makePromise(of: Void.self)
        loop.execute { outside.value.whenEnded { end.succeed() } }
        let deadline = loop.scheduleTask(in: limit) { end.succeed() }
        try? end.futureResult.wait()
        deadline.cancel()
    }
}
