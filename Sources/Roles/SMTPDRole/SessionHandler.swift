private import Addresses
internal import ClientConnections
internal import NIOCore
private import Posix
internal import SMTPServer
internal import ServerTLS

/// What TLS a connection may have.
struct Encryption {
    let tls: ServerTLS
    /// Whose context and tickets it uses.
    let service: String
    /// It comes before anything else.
    let isFirst: Bool
}

/// Between one client's channel and its session: bytes in, actions carried out.
final class SessionHandler<Machine: ClientSession & ~Copyable>: ChannelDuplexHandler, ClientConnection, QueueClient.Submitter {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A message on its way to the queue. What is small stays here until its end, so that it travels whole.
    private struct Submission {
        let stream: QueueClient.Stream
        var content: [UInt8] = []
        var isBegun = false
        var isCommitted = false
    }

    var onEnd: () -> Void = {}
    private var session: Machine
    private var deadlines: Deadlines
    private let queue: QueueClient
    private let route: RouteClient
    /// Nil where there is no TLS.
    private let encryption: Encryption?
    /// Nil where nobody logs in.
    private let login: ClientLogin?
    /// Nil where no program is asked about recipients.
    private let checks: RecipientChecks?
    private var context: ChannelHandlerContext?
    private var submission: Submission?
    private var readIsHeld = false
    private var inputEnded = false
    /// When the last replies must have been taken; nil until this connection is being closed.
    private var closeDue: Double?
    private var hasEnded = false

    /// Content of one message that may gather here.
    private static var contentKept: Int { 16 << 10 }
    /// Seconds that a client has for taking the last replies.
    private static var closeTime: Double { 10 }

    init(
        _ session: consuming Machine, _ limits: Deadlines.Limits, _ queue: QueueClient, _ route: RouteClient, _ encryption: Encryption? = nil,
        _ login: ClientLogin? = nil, _ checks: RecipientChecks? = nil
    ) {
        self.session = session
        deadlines = Deadlines(limits, now: Self.now)
        self.queue = queue
        self.route = route
        self.encryption = encryption
        self.login = login
        self.checks = checks
    }

    private static var now: Double { Double(monotonicNanoseconds()) / 1e9 }

    private var moment: Session.Moment {
        .init(time: unixTime(), queueIsReachable: queue.isReachable, tlsIsReady: encryption?.tls.isAvailable() ?? false)
    }

    // MARK: The channel

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        finish(encryption?.isFirst ?? false ? session.openedForTLS() : session.opened())
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        let moment = self.moment
        finish(buffer.withUnsafeReadableBytes { session.bytesReceived($0, moment) }, received: buffer.readableBytes)
    }

    /// Reading stops while the client does not take replies, the queue does not take content, or an answer is owed and enough is held.
    func read(context: ChannelHandlerContext) {
        if mayRead { context.read() } else { readIsHeld = true }
    }

    private var mayRead: Bool {
        // At the end of an encrypted connection the client's close_notify is still to come.
        (closeDue == nil || session.isEncrypted) && session.wantsInput && context?.channel.isWritable ?? true
            && (submission == nil || queue.isWritable || !queue.isReachable)
    }

    func resumeReading() {
        guard readIsHeld, mayRead else { return }
        readIsHeld = false
        context?.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) { resumeReading() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent else { return context.fireUserInboundEventTriggered(event) }
        inputEnded = true
        closeIfInputEnded()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) { end() }

    /// Comes also for a channel that was never active, because its client was gone before it was accepted.
    func handlerRemoved(context: ChannelHandlerContext) { end() }

    private func end() {
        guard !hasEnded else { return }
        hasEnded = true
        _ = perform(session.clientEnded())
        // The session may have asked for an abort in the very actions whose reply found the client gone.
        if let submission {
            if submission.isCommitted { queue.forget(submission.stream) } else { abort() }
        }
        submission = nil
        context = nil
        onEnd()
    }

    // MARK: Other events

    func listsAnswered(_ text: [UInt8]?) { finish(session.listsAnswered(text, moment)) }

    func queueAnswered(_ answer: Session.QueueAnswer) {
        submission = nil
        finish(session.queueAnswered(answer, moment))
    }

    func checkDeadline() {
        let now = Self.now
        if let closeDue {
            if now >= closeDue { context?.close(promise: nil) }
            return
        }
        switch deadlines.expired(now: now) {
        case .client: finish(session.timedOut())
        case .answer:
            guard let submission else { return finish(session.timedOut()) }
            queue.forget(submission.stream)
            queueAnswered(.lost)
        case nil: break
        }
    }

    func beginShutdown() { finish(session.shutdownBegan()) }
    func endShutdown() { finish(session.shutdownEnded()) }

    // MARK: Actions

    private func finish(_ actions: [Session.Action], received: Int = 0) {
        var actions = actions
        while let verdict = perform(actions) { actions = session.routeAnswered(verdict, moment) }
        deadlines.update(session.progress, received: received, now: Self.now)
        closeIfInputEnded()
        resumeReading()
    }

    /// - Returns: the answer to a question about a recipient, when it is known at once.
    private func perform(_ actions: [Session.Action]) -> Session.RecipientVerdict? {
        var verdict: Session.RecipientVerdict?
        for action in actions {
            switch action {
            case .send(let bytes): context?.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
            case .askRoute(let recipient):
                verdict = route.ask(recipient) { [weak self] verdict in
                    guard let self else { return }
                    finish(session.routeAnswered(verdict, moment))
                }
            case .checkRecipient(let sender, let recipient, let helo):
                checks?.run(session.client, sender: sender, recipient: recipient, helo: helo) { [weak self] in
                    self?.hasEnded ?? true
                } done: { [weak self] outcome in
                    guard let self else { return }
                    finish(session.checkAnswered(outcome, moment))
                }
            // A reply in front of it may have found the client gone.
            case .begin: if !hasEnded { submission = Submission(stream: queue.begin(for: self)) }
            case .content(let bytes): append(bytes)
            case .commit(let envelope): commit(envelope)
            case .abort: abort()
            case .startTLS: startTLS()
            case .beginLogin, .continueLogin, .cancelLogin, .askPermission, .noteSent, .noteLimit: perform(login: action)
            case .close: close()
            }
        }
        return verdict
    }

    private func perform(login action: Session.Action) {
        switch action {
        case .beginLogin(let mechanism, let initial):
            login?.begin(mechanism, initial, isEncrypted: session.isEncrypted) { [weak self] answer in
                guard let self else { return }
                finish(session.loginAnswered(answer, moment))
            }
        case .askPermission(let sender):
            login?.askPermission(sender) { [weak self] permission in
                guard let self else { return }
                finish(session.permissionAnswered(permission, moment))
            }
        case .continueLogin(let response): login?.respond(response)
        case .cancelLogin: login?.cancel()
        case .noteSent(let recipients, let qp): login?.noteSent(recipients: recipients, qp: qp)
        case .noteLimit: login?.noteLimit()
        default: break
        }
    }

    private func append(_ bytes: [UInt8]) {
        submission?.content += bytes
        if let kept = submission?.content.count, kept >= Self.contentKept { sendContent() }
    }

    private func sendContent() {
        guard let submission else { return }
        queue.send(content: submission.content, submission.stream)
        self.submission?.isBegun = true
        self.submission?.content = []
    }

    private func commit(_ envelope: Envelope) {
        sendContent()
        guard let submission else { return }
        queue.send(recipients: envelope.recipients, submission.stream)
        queue.commit(submission.stream, sender: envelope.sender)
        self.submission?.isCommitted = true
    }

    private func abort() {
        guard let submission else { return }
        if submission.isBegun { queue.abort(submission.stream) } else { queue.forget(submission.stream) }
        self.submission = nil
    }

    private func startTLS() {
        guard let context, let encryption else { return }
        do {
            try encryption.tls.begin(on: context.channel, for: encryption.service) { [weak self] outcome in
                guard let self, case .established(let details) = outcome else { return }
                finish(session.tlsBegan(details))
            }
        } catch {
            context.close(promise: nil)
        }
    }

    /// A client may close its side once it has said all, QUIT included, and still wait for replies.
    private func closeIfInputEnded() {
        guard inputEnded, session.progress.phase != .waiting else { return }
        close()
    }

    private func close() {
        guard closeDue == nil else { return }
        closeDue = Self.now + Self.closeTime
        // An empty write behind all others: closing at once would drop what the client has not taken yet.
        guard let context else { return }
        let channel = context.channel
        channel.writeAndFlush(ByteBuffer()).whenComplete { _ in channel.close(promise: nil) }
    }
}
