private import Addresses
internal import Authentication
internal import Boundaries
private import Bytes
internal import ControlFiles
internal import Frames
internal import Logins
internal import Posix
internal import SASL

/// `run/auth`: exchanges of smtpd's and access's clients, and smtpd's questions what an account may send.
final class LoginDoor {
    private final class Client {
        var peer: FramePeer?
        var exchanges: [UInt32: Exchange] = [:]
        /// Questions about senders that wait.
        var pending = 0
    }

    private final class Exchange {
        let token: UInt32
        let service: Login.Service
        let origin: Login.Origin
        let began = monotonicNanoseconds()
        var machine: ServerExchange
        /// As failures are counted; nil until the client has named itself.
        var admitted: [UInt8]?
        /// What the back ends found.
        var identity: VerifiedAccount?
        /// A question is out, or the end is delayed: nothing of the client's is due.
        var isWaiting = false
        /// Ends an exchange that the client does not.
        var deadline: TimerQueue.Token?

        init(token: UInt32, _ service: Login.Service, _ origin: Login.Origin, _ machine: ServerExchange) {
            self.token = token
            self.service = service
            self.origin = origin
            self.machine = machine
        }
    }

    private let loop: EventLoop
    private let offer: Watched<LoginOffer>
    private let authenticator: Authenticator
    private let gate: Gate
    private let ownership: SenderOwnership
    private let tickets: TicketOffice
    private var clients: [ObjectIdentifier: Client] = [:]

    /// Exchanges of one peer at a time; one more is refused for now.
    static let maxExchanges = 2048
    static let maxPending = 1024
    private static let unsentLimit = 1 << 20
    /// From begin to end: shorter than what clients are given elsewhere.
    private static let exchangeSeconds = 120.0

    init(
        on loop: EventLoop, _ offer: Watched<LoginOffer>, _ authenticator: Authenticator, _ gate: Gate, _ ownership: SenderOwnership,
        _ tickets: TicketOffice
    ) {
        self.loop = loop
        self.offer = offer
        self.authenticator = authenticator
        self.gate = gate
        self.ownership = ownership
        self.tickets = tickets
    }

    func accept(_ connection: consuming FileDescriptor) {
        let client = Client()
        do throws(SystemError) {
            let peer = try FramePeer(connection, on: loop, maxLength: Login.Request.maxLength) {
                [weak self, weak client] (frame) throws(FrameError) in
                let request = try Login.Request(frame)
                if let self, let client { try take(request, client) }
            } onClose: { [weak self, weak client] reason in
                if let reason { log("auth: \(reason); connection dropped") }
                if let client { self?.close(client) }
            }
            peer.unsentLimit = Self.unsentLimit
            client.peer = peer
            clients[ObjectIdentifier(client)] = client
        } catch {
            log("auth: \(error)")
        }
    }

    private func close(_ client: Client) {
        for exchange in client.exchanges.values { drop(exchange) }
        client.exchanges = [:]
        client.peer = nil
        clients[ObjectIdentifier(client)] = nil
    }

    private func take(_ request: Login.Request, _ client: Client) throws(FrameError) {
        switch request {
        case .begin(let token, let service, let origin, let mechanism, let binding, let initial):
            guard client.exchanges[token] == nil else { throw .malformed(1) }
            begin(token, service, origin, Array(mechanism), Array(binding), initial.map { Array($0) }, client)
        case .respond(let token, let bytes):
            // Its exchange may have ended a moment ago.
            guard let exchange = client.exchanges[token] else { return }
            guard !exchange.isWaiting else { throw .malformed(2) }
            perform(exchange.machine.responseReceived(Array(bytes)), exchange, client)
        case .cancel(let token):
            if let exchange = client.exchanges.removeValue(forKey: token) { drop(exchange) }
        case .permit(let token, let account, let sender): permit(token, Array(account), sender, client)
        case .charge(let token, let account, let recipients): charge(token, Array(account), recipients, client)
        }
    }

    // MARK: - Exchanges

    private func begin(
        _ token: UInt32, _ service: Login.Service, _ origin: Login.Origin, _ name: [UInt8], _ binding: [UInt8], _ initial: [UInt8]?, _ client: Client
    ) {
        guard client.exchanges.count < Self.maxExchanges else { return send(.failure(token: token, .temporary), client) }
        let offer = offer.refreshed()
        guard let mechanism = Mechanism(name: name), offer.mechanisms.contains(mechanism) else {
            return send(.failure(token: token, .mechanism), client)
        }
        // Whoever asks should have refused it; that it did not is no reason to look at the password.
        guard origin.isEncrypted || !offer.needsTLS(IPAddress(origin.address)) else {
            return send(.failure(token: token, .encryptionNeeded), client)
        }
        let machine = ServerExchange(mechanism, binding: self.binding(mechanism, binding))
        let exchange = Exchange(token: token, service, origin, machine)
        client.exchanges[token] = exchange
        exchange.deadline = loop.after(seconds: Self.exchangeSeconds) { [weak self, weak exchange, weak client] in
            if let exchange, let client { self?.end(exchange, .failure(token: exchange.token, .temporary), client) }
        }
        perform(exchange.machine.begun(initial: initial), exchange, client)
    }

    /// What is used once: APOP's was in the greeting, the others' are made here.
    private func binding(_ mechanism: Mechanism, _ given: [UInt8]) -> [UInt8] {
        switch mechanism {
        case .apop: given
        case .cramMD5: [ASCII.less] + Base64.encode(randomBytes(12)) + Array(".\(unixTime())@auth>".utf8)
        case .scramSHA256: Base64.encode(randomBytes(18))
        case .plain, .login: []
        }
    }

    private func perform(_ action: ServerExchange.Action, _ exchange: Exchange, _ client: Client) {
        switch action {
        case .challenge(let challenge): send(.challenge(token: exchange.token, challenge[...]), client)
        case .judge(let claim): judge(claim, exchange, client)
        case .findKeys(let login):
            guard admit(login, exchange, client) else { return }
            perform(exchange.machine.keysFound(authenticator.keys(of: login)), exchange, client)
        case .succeed(let login, let final):
            if exchange.machine.mechanism == .scramSHA256, case .accepted(let found) = authenticator.identify(login) { exchange.identity = found }
            succeed(final, exchange, client)
        case .fail(.malformed): end(exchange, .failure(token: exchange.token, .malformed), client)
        case .fail(.credentials): fail(exchange, client)
        }
    }

    /// Whether the client may try at all. Says so to it if not.
    private func admit(_ login: [UInt8], _ exchange: Exchange, _ client: Client) -> Bool {
        let name = authenticator.canonical(login)
        switch gate.throttle.begun(name, from: exchange.origin.address, now: gate.now) {
        case .admitted:
            exchange.admitted = name
            return true
        case .busy:
            end(exchange, .failure(token: exchange.token, .temporary), client)
            return false
        case .refused:
            end(exchange, .failure(token: exchange.token, .throttled), client)
            return false
        }
    }

    private func judge(_ claim: Claim, _ exchange: Exchange, _ client: Client) {
        guard admit(claim.login, exchange, client) else { return }
        exchange.isWaiting = true
        let address = addressText(exchange.origin)
        authenticator.judge(claim, Authenticator.Circumstances(service: exchange.service, address: Array(address.utf8))) {
            [weak self, weak client] verdict in
            guard let self else { return }
            // A client that has gone meanwhile has tried all the same.
            let client = client ?? Client()
            exchange.isWaiting = false
            switch verdict {
            case .accepted(let identity):
                exchange.identity = identity
                perform(exchange.machine.claimJudged(isTrue: true), exchange, client)
            case .rejected: perform(exchange.machine.claimJudged(isTrue: false), exchange, client)
            case .trouble(let text):
                log("auth: \(logsafe(exchange.admitted ?? [])) from \(address): \(text)")
                end(exchange, .failure(token: exchange.token, .temporary), client)
            }
        }
    }

    private func succeed(_ final: [UInt8], _ exchange: Exchange, _ client: Client) {
        guard let identity = exchange.identity else { return fail(exchange, client) }
        var ticket: [UInt8] = []
        if exchange.service != .submission {
            guard let issued = tickets.issue(identity, exchange.service) else {
                return end(exchange, .failure(token: exchange.token, .temporary), client)
            }
            ticket = issued
        }
        if let name = exchange.admitted {
            _ = gate.throttle.ended(name, from: exchange.origin.address, succeeded: true, now: gate.now)
            exchange.admitted = nil
        }
        log("auth: \(logsafe(identity.account)) logs in \(circumstances(of: exchange))")
        end(exchange, .success(token: exchange.token, account: identity.account[...], ticket: ticket[...], final: final[...]), client)
    }

    /// The answer comes so many seconds after the beginning, whatever was done meanwhile.
    private func fail(_ exchange: Exchange, _ client: Client) {
        exchange.isWaiting = true
        var delay: UInt64 = 1
        if let name = exchange.admitted { delay = gate.throttle.ended(name, from: exchange.origin.address, succeeded: false, now: gate.now) }
        log("auth: \(logsafe(exchange.admitted ?? [])) fails to log in \(circumstances(of: exchange))")
        exchange.admitted = nil
        let passed = monotonicNanoseconds() &- exchange.began
        let second: UInt64 = 1_000_000_000
        let due = max(delay, (passed + second - 1) / second) * second
        loop.after(nanoseconds: due - min(passed, due)) { [weak self, weak client] in
            if let client { self?.end(exchange, .failure(token: exchange.token, .credentials), client) }
        }
    }

    private func end(_ exchange: Exchange, _ answer: Login.Answer, _ client: Client) {
        drop(exchange)
        guard client.exchanges[exchange.token] === exchange else { return }
        client.exchanges[exchange.token] = nil
        send(answer, client)
    }

    private func drop(_ exchange: Exchange) {
        if let deadline = exchange.deadline { loop.cancel(deadline) }
        exchange.deadline = nil
        // One that is being judged is counted when the verdict comes.
        guard !exchange.isWaiting, exchange.admitted != nil else { return }
        exchange.admitted = nil
        gate.throttle.abandoned(from: exchange.origin.address)
    }

    private func circumstances(of exchange: Exchange) -> String {
        "for \(exchange.service) from \(addressText(exchange.origin)) by \(exchange.machine.mechanism.rawValue)"
    }

    private func addressText(_ origin: Login.Origin) -> String { IPAddress(origin.address).map { "\($0)" } ?? "a UNIX socket" }

    // MARK: - Sending

    private func permit(_ token: UInt32, _ account: [UInt8], _ sender: Address, _ client: Client) {
        let left = gate.left(account)
        guard left > 0 else { return send(.permission(token: token, .limitReached, recipients: 0), client) }
        client.pending += 1
        if client.pending == Self.maxPending { client.peer?.pause() }
        ownership.judge(account, sender) { [weak self, weak client] answer in
            guard let self, let client else { return }
            client.pending -= 1
            if client.pending == Self.maxPending / 2 { client.peer?.resume() }
            switch answer {
            case .owned: send(.permission(token: token, .granted, recipients: left), client)
            case .foreign: send(.permission(token: token, .foreignSender, recipients: left), client)
            case .trouble(let text):
                log("auth: sender \(logsafe(sender.bytes)) of \(logsafe(account)): \(text)")
                send(.failure(token: token, .temporary), client)
            }
        }
    }

    private func charge(_ token: UInt32, _ account: [UInt8], _ recipients: UInt32, _ client: Client) {
        let permission: Login.Permission = gate.charge(account, recipients: recipients) ? .granted : .limitReached
        send(.permission(token: token, permission, recipients: gate.left(account)), client)
    }

    private func send(_ answer: Login.Answer, _ client: Client) { client.peer?.send(answer.encode) }
}
