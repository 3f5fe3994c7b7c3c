internal import Addresses
private import Bytes
internal import ClientConnections
private import Frames
private import Glibc
internal import Logins
internal import NIOCore
private import POP3
private import Posix
internal import RoleContext
internal import ServerTLS

/// One POP3 client: its login here, its mailbox at the other end of a socket pair.
final class PopConnection: ChannelDuplexHandler, ClientConnection {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    struct Origin {
        let door: Door
        /// Nil on a UNIX socket.
        let client: IPAddress?
        /// There is a certificate.
        let hasTLS: Bool
    }

    private enum Phase {
        /// Nothing that comes is for anybody: TLS is beginning, or all is over.
        case deaf
        case login
        /// The worker has not said anything yet.
        case opening(MailboxLink)
        case mailbox(MailboxLink)
    }

    var onEnd: () -> Void = {}
    private var session: AuthorizationSession
    private let origin: Origin
    private let timestamp: [UInt8]
    private let auth: AuthClient
    private let tls: ServerTLS
    private var exchange: AuthClient.Exchange?
    private var ticket: [UInt8] = []
    private var isEncrypted: Bool
    private var phase = Phase.login
    private var context: ChannelHandlerContext?
    private var readIsHeld = false
    private var inputEnded = false
    /// Writes that the client has not taken.
    private var pendingWrites = 0
    private var due: Double

    /// Seconds from the connection to the mailbox's first word, TLS included.
    private static let loginTime = 180.0
    /// Seconds without a byte in either direction (RFC 1939 §3: at least 10 minutes).
    private static let idleTime = 600.0
    /// Seconds in which a client takes some of what waits for it.
    private static let writeTime = 300.0
    /// Seconds that a client has for taking the last reply.
    private static let closeTime = 10.0

    init(_ origin: Origin, _ configuration: Configuration, _ auth: AuthClient, _ tls: ServerTLS) {
        self.origin = origin
        self.auth = auth
        self.tls = tls
        isEncrypted = origin.door.isEncrypted
        let random = randomBytes(8).map { String($0, radix: 16) }.joined()
        timestamp = Array("<\(getpid()).\(unixTime()).\(random)@".utf8) + configuration.host + [ASCII.greater]
        let logins = OfferedLogins(
            mechanisms: configuration.logins.mechanisms.map(\.rawValue), needsTLS: configuration.logins.needsTLS(origin.client),
            startsTLS: origin.hasTLS)
        session = AuthorizationSession(logins, host: configuration.host, timestamp: timestamp, isEncrypted: isEncrypted)
        due = Self.now + Self.loginTime
    }

    private static var now: Double { Double(monotonicNanoseconds()) / 1e9 }

    // MARK: - The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if isEncrypted { startTLS { [unowned self] in perform(session.opened()) } }
    }

    func channelActive(context: ChannelHandlerContext) { if !isEncrypted { perform(session.opened()) } }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        switch phase {
        case .deaf: break
        case .login: perform(session.bytesReceived(buffer.readableBytesView))
        case .opening(let link): link.write(buffer)
        case .mailbox(let link):
            due = Self.now + (pendingWrites == 0 ? Self.idleTime : Self.writeTime)
            link.write(buffer)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        link?.flush()
        context.fireChannelReadComplete()
    }

    private var link: MailboxLink? {
        switch phase {
        case .deaf, .login: nil
        case .opening(let link), .mailbox(let link): link
        }
    }

    /// Reading stops while the other side does not take what came.
    func read(context: ChannelHandlerContext) {
        if mayRead { context.read() } else { readIsHeld = true }
    }

    private var mayRead: Bool {
        switch phase {
        // What is read is dropped; TLS needs it.
        case .deaf: true
        case .login: session.wantsInput && context?.channel.isWritable ?? true
        case .opening(let link), .mailbox(let link): link.isWritable
        }
    }

    func resumeReading() {
        guard readIsHeld, mayRead else { return }
        readIsHeld = false
        context?.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { link?.resumeReading() }
        resumeReading()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent else { return context.fireUserInboundEventTriggered(event) }
        inputEnded = true
        if let link { link.endInput() } else if exchange == nil { close() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) { end() }

    /// Comes also for a channel that was never active, because its client was gone before it was accepted.
    func handlerRemoved(context: ChannelHandlerContext) { end() }

    private func end() {
        guard context != nil else { return }
        context = nil
        if let exchange { auth.cancel(exchange) }
        exchange = nil
        link?.close()
        phase = .deaf
        onEnd()
    }

    // MARK: - Other events

    func checkDeadline() {
        guard Self.now >= due else { return }
        guard case .login = phase else { return context?.close(promise: nil) ?? () }
        perform(session.timedOut())
    }

    func beginShutdown() { if case .login = phase { close() } }
    func endShutdown() { context?.close(promise: nil) }

    // MARK: - Actions of the login

    private func perform(_ actions: [AuthorizationSession.Action]) {
        for action in actions {
            switch action {
            case .send(let bytes): write(ByteBuffer(bytes: bytes), flushing: true)
            case .begin(let mechanism, let initial): begin(mechanism, initial)
            case .respond(let bytes): if let exchange { auth.respond(exchange, bytes) }
            case .cancel:
                if let exchange { auth.cancel(exchange) }
                exchange = nil
            case .startTLS: startTLS { [unowned self] in perform(session.tlsStarted()) }
            case .open(let said): open(said)
            case .close: close()
            // The classic profile's.
            case .check: close()
            }
        }
        resumeReading()
    }

    private func begin(_ mechanism: String, _ initial: [UInt8]?) {
        let origin = Login.Origin(address: origin.client.map { Array($0.bytes)[...] } ?? [], isEncrypted: isEncrypted)
        let binding = mechanism == OfferedLogins.apop ? timestamp : []
        exchange = auth.begin(.pop3, origin, mechanism: Array(mechanism.utf8), binding: binding, initial: initial) { [weak self] step in
            guard let self, context != nil else { return }
            perform(session.answered(answer(step)))
            if inputEnded, link == nil, exchange == nil { close() }
        }
    }

    private func answer(_ step: AuthClient.Step) -> AuthorizationSession.Answer {
        switch step {
        case .challenge(let bytes): return .challenge(bytes)
        case .success(let success):
            exchange = nil
            ticket = success.ticket
            return .success(final: success.final)
        case .failure(let refusal):
            exchange = nil
            return .failure(.init(refusal))
        }
    }

    private func startTLS(_ established: @escaping () -> Void) {
        guard let channel = context?.channel else { return }
        phase = .deaf
        do {
            try tls.begin(on: channel, for: origin.door.rawValue) { [weak self] outcome in
                guard let self, context != nil, case .established = outcome else { return }
                isEncrypted = true
                phase = .login
                established()
            }
        } catch {
            log("access: warning: TLS cannot begin: \(error)")
            channel.close(promise: nil)
        }
    }

    private func write(_ buffer: ByteBuffer, flushing: Bool) {
        guard let context else { return }
        pendingWrites += 1
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.write(wrapOutboundOut(buffer)).whenComplete { _ in this.value.written() }
        if flushing { context.flush() }
    }

    private func written() {
        pendingWrites -= 1
        if case .mailbox = phase { due = Self.now + (pendingWrites == 0 ? Self.idleTime : Self.writeTime) }
    }

    private func close() {
        phase = .deaf
        due = Self.now + Self.closeTime
        // An empty write behind all others: closing at once would drop what the client has not taken yet.
        guard let context else { return }
        let channel = context.channel
        channel.writeAndFlush(ByteBuffer()).whenComplete { _ in channel.close(promise: nil) }
    }

    // MARK: - The mailbox

    private func open(_ said: [UInt8]) {
        guard let context else { return }
        do {
            let link = try MailboxLink(ticket: ticket, on: context.eventLoop)
            ticket = []
            phase = .opening(link)
            link.events.received = { [weak self] in self?.received($0) }
            link.events.readComplete = { [weak self] in self?.context?.flush() }
            link.events.ended = { [weak self] in self?.mailboxEnded() }
            link.events.writable = { [weak self] in self?.resumeReading() }
            link.events.mayRead = { [weak self] in self?.context?.channel.isWritable ?? false }
            link.write(ByteBuffer(bytes: said))
            link.flush()
            if inputEnded { link.endInput() }
        } catch {
            log("access: warning: no mailbox can be opened: \(error)")
            phase = .login
            perform(session.mailboxFailed())
        }
    }

    private func received(_ buffer: ByteBuffer) {
        if case .opening(let link) = phase {
            phase = .mailbox(link)
            due = Self.now + Self.writeTime
        }
        write(buffer, flushing: false)
    }

    private func mailboxEnded() {
        if case .opening = phase {
            phase = .login
            perform(session.mailboxFailed())
        } else {
            close()
        }
    }
}

extension AuthorizationSession.Refusal {
    fileprivate init(_ refusal: Login.Refusal) {
        switch refusal {
        case .credentials: self = .credentials
        case .temporary: self = .temporary
        case .throttled: self = .throttled
        case .mechanism: self = .mechanism
        case .encryptionNeeded: self = .encryptionNeeded
        case .malformed: self = .malformed
        }
    }
}
