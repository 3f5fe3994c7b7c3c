internal import Addresses
private import Boundaries
internal import ControlFiles
internal import Frames
internal import Posix
private import Routing

/// `run/route`: smtpd asks at RCPT whether a recipient exists, so that mail for nobody is refused and not bounced.
final class RouteDoor {
    private let lookup: LocalPartLookup
    private let accounts: AccountLookup
    private let isProbing: Watched<Bool>
    private let probes: RecipientProbes
    private var clients: [ObjectIdentifier: Client] = [:]
    private let loop: EventLoop

    /// Questions of one peer that wait for an answer; more are not read meanwhile.
    static let maxPending = 1024
    /// A peer that leaves so many answers unread is dropped, in bytes.
    static let maxUnsent = 1 << 20

    private final class Client {
        var peer: FramePeer?
        var pending = 0
    }

    init(_ lookup: LocalPartLookup, _ accounts: AccountLookup, _ probes: RecipientProbes, on loop: EventLoop, _ control: ControlDirectory) throws {
        self.lookup = lookup
        self.accounts = accounts
        self.probes = probes
        self.loop = loop
        isProbing = try Watched([control.file("rcptprobe")]) {
            (try control.integer("rcptprobe") ?? 0) != 0
        } complain: {
            log("route: \($0); the old value stays")
        }
    }

    func accept(_ connection: consuming FileDescriptor) {
        let client = Client()
        do throws(SystemError) {
            client.peer = try FramePeer(consume connection, on: loop, maxLength: Route.Question.maxLength) {
                [weak self, weak client] (frame) throws(FrameError) in
                let question = try Route.Question(frame)
                if let client { self?.ask(question, client) }
            } onClose: { [weak self, weak client] reason in
                if let reason { log("route: \(reason); connection dropped") }
                client?.peer = nil
                if let client { self?.clients[ObjectIdentifier(client)] = nil }
            }
            clients[ObjectIdentifier(client)] = client
        } catch {
            log("route: \(error)")
        }
    }

    func refresh() { isProbing.refreshed() }

    private func ask(_ question: Route.Question, _ client: Client) {
        guard let (channel, recipient, _) = accounts.rewriting.refreshed().channel(of: question.recipient) else {
            return send(Route.Answer(token: question.token, verdict: .nonexistent), to: client)
        }
        // Nothing runs for an empty local part: such mail is taken and thrown away (spec-qmail §2.4).
        guard channel == .local, !recipient.localPart.isEmpty else {
            return send(Route.Answer(token: question.token, verdict: channel == .local ? .exists : .unknown), to: client)
        }
        client.pending += 1
        if client.pending == Self.maxPending { client.peer?.pause() }
        find(recipient) { [weak self] verdict in
            client.pending -= 1
            self?.send(Route.Answer(token: question.token, verdict: verdict), to: client)
            if client.pending == Self.maxPending / 2 { client.peer?.resume() }
        }
    }

    private func find(_ recipient: Address, _ body: @escaping (Route.Verdict) -> Void) {
        switch accounts.find(recipient) {
        case .user(let user, _, _, let verdict): probe(user, verdict, body)
        case .nobody: body(.nonexistent)
        case .trouble: body(.unknown)
        case .systemUser:
            lookup.find(recipient.localPart) { [weak self] outcome in
                guard let self, let found = try? outcome.get() else { return body(.unknown) }
                probe(found.user, found.verdict, body)
            }
        }
    }

    private func probe(_ user: LocalUser, _ verdict: Route.Verdict, _ body: @escaping (Route.Verdict) -> Void) {
        guard verdict == .unknown, isProbing.refreshed() else { return body(verdict) }
        probes.ask(user, body)
    }

    private func send(_ answer: Route.Answer, to client: Client) {
        guard let peer = client.peer else { return }
        guard peer.unsent <= Self.maxUnsent else { return peer.close() }
        peer.send(answer.encode)
    }
}
