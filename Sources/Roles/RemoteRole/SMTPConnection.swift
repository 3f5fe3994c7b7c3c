private import Bytes
private import ClientTLS
internal import NIOCore
private import Posix
internal import RemoteDelivery
private import SMTPClient

/// One connection to a server: carries bytes between the channel and the session machine, and keeps its time.
final class SMTPConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private static let piecesPerTurn = 16
    /// A timer outlives a connection that ends early; this bounds by how much, and so how many there are.
    /// For all of a transaction, beside the time its content takes at ``minimumRate``, bytes a second.
    private static let longestTransaction = TimeAmount.hours(1)
    private static let minimumRate = 500
    private static let longestTimer = TimeAmount.seconds(10)

    let destination: Destination
    let attempt: ConnectionPlan.Attempt
    /// Meaningful while the courier keeps it.
    var idleSince = NIODeadline.now()
    private let channel: any NIOCore.Channel
    private let courier: Courier
    private let made = NIODeadline.now()
    private let timeout: TimeAmount
    private let authorities: TrustedAuthorities
    private var session: ClientSession
    private var current: Outgoing?
    private var wantsContent = false
    private var isSendingContent = false
    private var lastProgress = NIODeadline.now()
    /// A server that makes a little progress now and then does not hold a delivery for ever.
    private var mustEnd = NIODeadline.distantFuture
    private var deadlineIsScheduled = false
    private var isClosed = false
    private var isNew = true

    init(_ channel: any NIOCore.Channel, _ attempt: ConnectionPlan.Attempt, _ outgoing: Outgoing, _ courier: Courier) {
        let errand = outgoing.errand
        self.channel = channel
        self.attempt = attempt
        self.courier = courier
        destination = errand.destination
        timeout = .seconds(errand.remoteTimeout)
        authorities = errand.authorities
        session = ClientSession(peer: attempt.address.description, heloHost: errand.heloHost, demand: outgoing.demand(attempt))
    }

    var age: TimeAmount { .now() - made }

    func begin(_ outgoing: Outgoing) {
        current = outgoing
        lastProgress = .now()
        mustEnd = .now() + timeout + Self.longestTransaction + .seconds(Int64(outgoing.errand.content.size / Self.minimumRate))
        scheduleDeadline(in: timeout)
        perform(session.begin(outgoing.transaction))
        if isNew, attempt.beginsWithTLS { startTLS() }
        isNew = false
    }

    /// Ends a connection that nobody uses.
    func quit() { perform(session.quit()) }

    // MARK: The channel's events

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { perform(session.received(unwrapInboundIn(data).readableBytesView)) }

    func channelWritabilityChanged(context: ChannelHandlerContext) { sendContent() }

    func channelInactive(context: ChannelHandlerContext) {
        isClosed = true
        perform(session.connectionClosed())
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { perform(session.connectionClosed()) }

    // MARK: What the session wants

    private func perform(_ actions: [ClientSession.Action]) {
        for action in actions {
            switch action {
            case .send(let bytes): if !isClosed { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
            case .restartDeadline: lastProgress = .now()
            case .readContent: wantsContent = true
            case .finish(let report): if let outgoing = release() { courier.finish(outgoing, report.combined) }
            case .passOn(let report): if let outgoing = release() { courier.passOn(outgoing, attempt, report.combined) }
            case .startTLS: startTLS()
            case .giveBack: if let outgoing = release() { courier.retry(outgoing) }
            case .idle: courier.park(self)
            case .close: close()
            }
        }
        sendContent()
    }

    // MARK: TLS

    /// At once: what comes next must find TLS in its way.
    private func startTLS() {
        let peer = ClientTLS.Peer(name: attempt.certificateName?.text, address: "\(attempt.address)", mustBeVerified: attempt.security == .verify)
        do {
            try courier.tls.begin(on: channel, with: peer, trusting: authorities) { self.tlsEnded($0) }
        } catch {
            perform(session.tlsFailed("it cannot be begun with \(attempt.certificateName?.text ?? "this address")"))
        }
    }

    private func tlsEnded(_ outcome: ClientTLS.Outcome) {
        switch outcome {
        case .failed(let reason): perform(session.tlsFailed(reason))
        case .established(let details):
            let host = attempt.host.isEmpty ? "" : " (\(logsafe(attempt.host)))"
            log("remote: TLS with \(attempt.address)\(host): \(details.version) \(details.cipher), certificate \(details.certificate.text)")
            perform(session.tlsStarted())
        }
    }

    private func release() -> Outgoing? {
        defer { current = nil }
        wantsContent = false
        return current
    }

    private func close() {
        courier.forget(self)
        wantsContent = false
        guard !isClosed else { return }
        isClosed = true
        channel.close(promise: nil)
    }

    /// As long as the server takes it: a slow one holds one piece in memory, not the message; a fast one leaves the loop to others now and then.
    private func sendContent() {
        guard !isSendingContent else { return }
        isSendingContent = true
        defer { isSendingContent = false }
        var pieces = 0
        while wantsContent, !isClosed, channel.isWritable, let outgoing = current {
            guard pieces < Self.piecesPerTurn else {
                return channel.eventLoop.assumeIsolated().execute { self.sendContent() }
            }
            pieces += 1
            wantsContent = false
            if let piece = outgoing.nextPiece() {
                perform(session.contentRead(piece.bytes[...], isLast: piece.isLast))
            } else {
                perform(session.contentFailed())
            }
        }
    }

    // MARK: Time

    /// One timer is enough: when it fires early, or the server moved on meanwhile, it is set again for the rest.
    private func scheduleDeadline(in time: TimeAmount) {
        guard !deadlineIsScheduled else { return }
        deadlineIsScheduled = true
        channel.eventLoop.assumeIsolated().scheduleTask(in: min(time, Self.longestTimer)) { [weak self] in self?.deadlineFired() }
    }

    private func deadlineFired() {
        deadlineIsScheduled = false
        // A connection that is kept for later has its own limit; one whose RSET is not answered has none but this.
        guard !isClosed, !session.isIdle else { return }
        let left = min(lastProgress + timeout, mustEnd) - .now()
        if left > .nanoseconds(0) { scheduleDeadline(in: left) } else { perform(session.deadlinePassed()) }
    }
}

extension CertificateVerdict {
    fileprivate var text: String {
        switch self {
        case .verified: "verified"
        case .unverified(let problem): "not verified: it \(problem)"
        }
    }
}
