internal import Addresses
private import Bytes
internal import ClientConnections
private import ConnectionRules
internal import ControlFiles
internal import Logins
internal import NIOCore
private import Posix
private import Reception
internal import RoleContext
private import SMTPReception
internal import SMTPServer
internal import ServerTLS

/// What the connections of one worker share, and which of them may begin. Lives on its loop.
final class Server {
    private let configuration: Watched<Configuration>
    private let clients: ClientServer
    let queue: QueueClient
    let route: RouteClient
    let auth: AuthClient
    let tls: ServerTLS
    let lists: ListClient
    let checks: RecipientChecks
    /// Connections that began here, for names that no other has.
    private(set) var accepted: UInt64 = 0

    static func watchedConfiguration() throws -> Watched<Configuration> {
        let control = ControlDirectory()
        let configuration = try Watched(Configuration.files.map(control.file) + [Rcpthosts.accountsFile]) {
            try Configuration(control)
        } complain: { error in
            log("smtpd: warning: \(error); the old value stays")
        }
        if !configuration.value.policy.rcpthosts.isThere {
            log("smtpd: warning: \(control.file("rcpthosts")) is missing: mail for every domain in the world is accepted, from everybody")
        }
        return configuration
    }

    init(on loop: any NIOCore.EventLoop, _ configuration: Watched<Configuration>, workers: Int) {
        self.configuration = configuration
        queue = QueueClient(on: loop)
        route = RouteClient(on: loop)
        auth = AuthClient(on: loop)
        tls = ServerTLS(on: loop, role: "smtpd")
        lists = ListClient(on: loop)
        checks = RecipientChecks(on: loop)
        clients = ClientServer(on: loop, role: "smtpd", descriptorsPerConnection: 1) {
            let now = configuration.refreshed()
            return .init(
                connections: max(1, (now.concurrency + workers - 1) / max(1, workers)), connectionsPerNetwork: now.concurrencyPerAddress,
                proxies: now.proxyClients)
        }
        queue.onWritable = { [unowned self] in clients.resumeReading() }
    }

    func listen(_ door: Door, _ descriptor: Int32) -> EventLoopFuture<Void> {
        clients.listen(descriptor) { [unowned self] arrival in
            switch welcome(arrival, door) {
            case .success(let connection): return .connection(connection)
            case .failure(let refusal): return .refusal(refusal.reply(at: door))
            }
        }
    }

    private struct Refusal: Error {
        let reply: Reply

        /// Nothing where the client waits for TLS or could not read it.
        func reply(at door: Door) -> [UInt8] {
            var bytes: [UInt8] = []
            if door.speaksInClear { reply.encode(into: &bytes, for: .modern) }
            return bytes
        }
    }

    private func welcome(_ arrival: ClientServer.Arrival, _ door: Door) -> Result<any ClientConnection, Refusal> {
        let configuration = self.configuration.value
        if arrival.obstacle == .shuttingDown { return .failure(Refusal(reply: .shuttingDown)) }
        guard case .allow(let assignments) = configuration.decision(for: arrival.client, door) else {
            return .failure(Refusal(reply: .notPermitted))
        }
        guard arrival.obstacle == nil else { return .failure(Refusal(reply: .tooManyConnections)) }
        let local = arrival.server ?? IPAddress(arrival.channel.localAddress)
        let localHost = configuration.me ?? local.map { Array($0.description.utf8) } ?? Array("unknown".utf8)
        accepted &+= 1
        return .success(connection(at: door, Client(arrival.client, assignments, localHost: localHost), arrival.client, configuration))
    }

    func stop() -> EventLoopFuture<Void> {
        let this = NIOLoopBound(self, eventLoop: clients.loop)
        return clients.stop().map {
            this.value.queue.stop()
            this.value.route.stop()
            this.value.auth.stop()
            this.value.tls.stop()
            this.value.lists.stop()
            this.value.checks.stop()
        }
    }
}
