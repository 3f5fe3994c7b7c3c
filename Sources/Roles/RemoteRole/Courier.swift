private import Addresses
internal import ClientTLS
private import Frames
private import Glibc
internal import NIOCore
private import NIOPosix
private import Posix
internal import RemoteDelivery
internal import SMTPClient

/// The event loop's work: brings each errand to an idle connection of its destination, or makes a new one.
final class Courier {
    /// How long a connection is kept for the next message to the same destination. Short: servers do not like idle clients.
    private static let keptIdle = TimeAmount.seconds(4)
    /// A connection this old is not kept: the load shall spread over exchangers again.
    private static let longestLife = TimeAmount.seconds(300)
    private static let maxIdle = 200
    /// Addresses that one delivery tries. A host with hundreds that do not answer would hold its place for hours.
    private static let maxAttempts = 10

    private let eventLoop: any NIOCore.EventLoop
    private let outbox: Outbox
    let tls: ClientTLS
    private var idle: [Destination: [SMTPConnection]] = [:]
    private var idleCount = 0
    private var sweepIsScheduled = false
    private var timeouts = TimeoutFile()
    private var random = SystemRandomNumberGenerator()
    /// Spreads the end of back-offs among processes, as qmail's does by pid.
    private let jitter = UInt64(getpid())

    init(on eventLoop: any NIOCore.EventLoop, _ outbox: Outbox) throws {
        self.eventLoop = eventLoop
        self.outbox = outbox
        tls = try ClientTLS()
    }

    func deliver(_ errands: [Errand]) {
        for errand in errands { survey(Outgoing(errand)) }
    }

    // MARK: The message

    /// Looks at the content before MAIL, a piece a turn, so that a large one does not keep the loop.
    private func survey(_ outgoing: Outgoing) {
        guard outgoing.surveyNextPiece() else { return finish(outgoing, DeliveryTexts.unreadable) }
        guard outgoing.isSurveyed else {
            return eventLoop.assumeIsolated().execute { self.survey(outgoing) }
        }
        if let impossibility = outgoing.transaction.impossibility {
            return finish(outgoing, outgoing.errand.recipients.map { _ in impossibility })
        }
        send(outgoing)
    }

    private func send(_ outgoing: Outgoing) {
        if let connection = takeIdle(outgoing.errand) {
            connection.begin(outgoing)
        } else {
            connect(outgoing)
        }
    }

    // MARK: Connecting

    private func connect(_ outgoing: Outgoing) {
        outgoing.begin(outgoing.errand.plan.ordered(using: &random))
        tryNext(outgoing)
    }

    /// The first address that connects is final (spec-qmail §14.4), unless the connection cannot be what it must be.
    private func tryNext(_ outgoing: Outgoing) {
        let (table, now) = (timeouts.table, unixTime())
        guard let attempt = outgoing.nextAttempt(limit: Self.maxAttempts, skipping: { table.skips($0.address, now: now, jitter: jitter) }) else {
            return outgoing.passedOn.map { finish(outgoing, $0) } ?? finish(outgoing, DeliveryTexts.noConnection)
        }
        guard let socketAddress = try? SocketAddress(packedIPAddress: ByteBuffer(bytes: attempt.address.bytes), port: Int(attempt.port)) else {
            return tryNext(outgoing)
        }
        ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(outgoing.errand.connectTimeout))
            .channelOption(.autoRead, value: false)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(to: socketAddress)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success(let channel):
                    self.timeouts.answered(attempt.address)
                    self.connected(channel, attempt, outgoing)
                case .failure(let error):
                    self.note(error, attempt.address)
                    self.tryNext(outgoing)
                }
            }
    }

    private func note(_ error: any Error, _ address: IPAddress) {
        if Self.isTimeout(error) {
            timeouts.timedOut(address, now: unixTime())
        } else {
            timeouts.answered(address)
        }
    }

    private static func isTimeout(_ error: any Error) -> Bool {
        if case ChannelError.connectTimeout = error { return true }
        return (error as? IOError)?.errnoCode == ETIMEDOUT
    }

    private func connected(_ channel: any NIOCore.Channel, _ attempt: ConnectionPlan.Attempt, _ outgoing: Outgoing) {
        let connection = SMTPConnection(channel, attempt, outgoing, self)
        guard (try? channel.pipeline.syncOperations.addHandler(connection)) != nil else {
            channel.close(promise: nil)
            return finish(outgoing, DeliveryTexts.outOfResources)
        }
        connection.begin(outgoing)
        // Only now may the greeting be read: it finds the session with its first message. A channel that is closed reports by itself.
        do { try channel.syncOptions?.setOption(.autoRead, value: true) } catch { channel.close(promise: nil) }
    }

    // MARK: What connections say

    func finish(_ outgoing: Outgoing, _ reports: [RecipientReport]) {
        let count = reports.count
        outbox.post(Errand.Outcome(ticket: outgoing.errand.ticket, reports: reports.map { DeliveryReport($0, ofRecipients: count) }))
    }

    private func finish(_ outgoing: Outgoing, _ report: DeliveryReport) { outbox.post(outgoing.errand.outcome(report)) }

    func passOn(_ outgoing: Outgoing, _ attempt: ConnectionPlan.Attempt, _ reports: [RecipientReport]) {
        outgoing.pass(on: attempt, reports)
        tryNext(outgoing)
    }

    /// The kept connection had ended; others of its age may have too.
    func retry(_ outgoing: Outgoing) {
        outgoing.rewind()
        connect(outgoing)
    }

    // MARK: Idle connections

    func park(_ connection: SMTPConnection) {
        guard idleCount < Self.maxIdle, connection.age < Self.longestLife else { return connection.quit() }
        connection.idleSince = .now()
        idle[connection.destination, default: []].append(connection)
        idleCount += 1
        scheduleSweep()
    }

    /// The one used last: the others may then time out. What its connection must be may have changed since it was made.
    private func takeIdle(_ errand: Errand) -> SMTPConnection? {
        let isGood = { (connection: SMTPConnection) in errand.plan.attempts.contains(connection.attempt) }
        guard let connection = idle[errand.destination]?.last(where: isGood) else { return nil }
        forget(connection)
        return connection
    }

    /// It ended by itself.
    func forget(_ connection: SMTPConnection) {
        guard let index = idle[connection.destination]?.firstIndex(where: { $0 === connection }) else { return }
        idle[connection.destination]?.remove(at: index)
        idleCount -= 1
        if idle[connection.destination]?.isEmpty == true { idle[connection.destination] = nil }
    }

    private func scheduleSweep() {
        guard !sweepIsScheduled else { return }
        sweepIsScheduled = true
        eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) {
            self.sweepIsScheduled = false
            self.closeIdle(olderThan: Self.keptIdle)
            if self.idleCount > 0 { self.scheduleSweep() }
        }
    }

    func closeIdle(olderThan age: TimeAmount) {
        let limit = NIODeadline.now() - age
        for connection in Array(idle.values.joined()) where connection.idleSince <= limit {
            forget(connection)
            connection.quit()
        }
    }
}
