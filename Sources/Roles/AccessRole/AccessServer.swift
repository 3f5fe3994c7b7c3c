private import ClientConnections
internal import ControlFiles
internal import Logins
internal import NIOCore
private import Posix
internal import RoleContext
internal import ServerTLS

/// What the connections of one worker share. Lives on its loop.
final class AccessServer {
    let auth: AuthClient
    let tls: ServerTLS
    private let configuration: Watched<Configuration>
    private let clients: ClientServer

    /// The client's, and the one to its store worker.
    private static let descriptorsPerConnection = 2
    private static let refusal = Array("-ERR [SYS/TEMP] too many connections\r\n".utf8)

    static func watchedConfiguration() throws -> Watched<Configuration> {
        let control = ControlDirectory()
        return try Watched((Configuration.files).map(control.file)) {
            try Configuration(control)
        } complain: { error in
            log("access: warning: \(error); the old value stays")
        }
    }

    init(on loop: any NIOCore.EventLoop, _ configuration: Watched<Configuration>, workers: Int) {
        self.configuration = configuration
        auth = AuthClient(on: loop)
        tls = ServerTLS(on: loop, role: "access")
        clients = ClientServer(on: loop, role: "access", descriptorsPerConnection: Self.descriptorsPerConnection) {
            let now = configuration.refreshed()
            return .init(
                connections: max(1, (now.concurrency + workers - 1) / max(1, workers)), connectionsPerNetwork: now.concurrencyPerAddress,
                proxies: now.proxies)
        }
    }

    func listen(_ door: Door, _ descriptor: Int32) -> EventLoopFuture<Void> {
        clients.listen(descriptor) { [unowned self] arrival in
            let hasTLS = tls.isAvailable()
            guard arrival.obstacle == nil else { return .refusal(door.isEncrypted ? [] : Self.refusal) }
            guard hasTLS || !door.isEncrypted else { return .refusal([]) }
            let origin = PopConnection.Origin(door: door, client: arrival.client, hasTLS: hasTLS)
            return .connection(PopConnection(origin, configuration.value, auth, tls))
        }
    }

    func stop() -> EventLoopFuture<Void> {
        let this = NIOLoopBound(self, eventLoop: clients.loop)
        return clients.stop().map {
            this.value.auth.stop()
            this.value.tls.stop()
        }
    }
}
