internal import Addresses
private import Bounces
internal import Boundaries
private import Bytes
internal import Frames
internal import Journal
internal import JournalFormat
internal import Posix
internal import Schedule

/// Starts deliveries as the schedule says, and turns their reports into outcomes.
final class Dispatcher {
    private let queue: QueueManager
    private var schedule: Schedule
    private var local: DeliveryDoor?
    private var remote: DeliveryDoor?
    private var lastDelivery: UInt64 = 0
    private var isStopping = false
    private var turnIsBooked = false
    private var wakeTime: (due: UInt64, token: TimerQueue.Token)?
    /// Deliveries whose message is still being opened: they have room, and are not yet at the door. By channel.
    private var opening = [0, 0]
    /// Recipients under way: what qmail's status line counts. By channel.
    private var underWay = [0, 0]
    /// Which recipients those are, by message and offset.
    private var offsetsUnderWay: [UInt64: Set<UInt32>] = [:]
    /// What the last attempts that failed for now said.
    private(set) var deferrals = DeferralTexts()
    /// Outcomes of this turn: they are stored together.
    private var outcomes: [JournalRecord] = []
    private var clock = ClockWatch()

    /// A delivery that was started: one recipient, or all of one host. It owns its addresses, so that the message's own list is never shared, and
    /// never copied, when an outcome changes it.
    private struct Running {
        let start: Schedule.Start
        let recipients: [(offset: UInt32, address: Address)]
        let relay: [UInt8]
        var firstDelivery: UInt64 = 0
    }

    init(_ queue: QueueManager) {
        self.queue = queue
        schedule = Schedule(queue.settings.limits)
    }

    /// The doors through which deliveries leave; made here so that their changes come back here.
    func open() -> (local: DeliveryDoor, remote: DeliveryDoor) {
        let doors = (
            local: DeliveryDoor(on: queue.loop) { [weak self] in self?.bookTurn() },
            remote: DeliveryDoor(on: queue.loop) { [weak self] in self?.bookTurn() }
        )
        (local, remote) = doors
        return doors
    }

    private func door(_ channel: Channel) -> DeliveryDoor? { channel == .local ? local : remote }

    // MARK: Events

    /// - Parameter isSpared: it was accepted before this process began, see ``Schedule/add(_:_:due:isSpared:)``.
    func add(_ id: UInt64, _ channel: Channel, due: UInt64, isSpared: Bool = false) {
        schedule.add(id, channel, due: due, isSpared: isSpared)
        bookTurn()
    }

    func retryAllNow() {
        schedule.makeAllDue(now: unixTime())
        bookTurn()
    }

    /// Starts no delivery of the message until it is released.
    func hold(_ id: UInt64) { schedule.hold(id) }

    func release(_ id: UInt64) {
        schedule.release(id)
        bookTurn()
    }

    /// The message is tried again now on a channel where it waits; one that goes on there is tried again when that ends.
    func makeDue(_ id: UInt64, _ channel: Channel) {
        schedule.makeDue(id, channel, now: unixTime())
        bookTurn()
    }

    /// No recipients of a waiting message are left on a channel.
    func withdraw(_ id: UInt64, _ channel: Channel) { schedule.withdraw(id, channel) }

    func isInPass(_ id: UInt64, _ channel: Channel) -> Bool { schedule.isInPass(id, channel) }

    /// The message is gone.
    func forget(_ id: UInt64) {
        schedule.forget(id)
    }

    /// Whether a recipient is being delivered to.
    func isUnderWay(_ id: UInt64, _ recipient: UInt32) -> Bool { offsetsUnderWay[id]?.contains(recipient) ?? false }

    /// Starts nothing more.
    func stop() { isStopping = true }

    var isIdle: Bool { schedule.inFlight(.local) == 0 && schedule.inFlight(.remote) == 0 }

    func logStatus() {
        let limits = schedule.limits
        queue.lines.line(
            "status: local \(underWay[0])/\(limits.concurrencyLocal) remote \(underWay[1])/\(limits.concurrencyRemote)"
                + (isStopping ? " exitasap" : ""))
    }

    // MARK: Starting

    /// Everything that happened in this turn of the loop is looked at once, at its end.
    private func bookTurn() {
        guard !turnIsBooked else { return }
        turnIsBooked = true
        queue.loop.atEndOfTurn { [weak self] in
            self?.turnIsBooked = false
            self?.startAll()
        }
    }

    private func startAll() {
        guard !isStopping else { return }
        let now = unixTime()
        if clock.hasJumped(now) { schedule.spareAll() }
        // One of each channel in turn, as qmail-send does: their deliveries are numbered alike.
        var channels = Channel.allCases
        while !channels.isEmpty { channels.removeAll { !startNext($0, now) } }
        bookWake(now)
    }

    /// - Returns: whether the channel may have more to start in this turn.
    private func startNext(_ channel: Channel, _ now: UInt64) -> Bool {
        guard let door = door(channel) else { return false }
        let decision = schedule.next(
            channel, room: door.room - opening[Int(channel.rawValue)], now: now,
            birth: { [queue] in queue.index[$0]?.record.birth },
            candidate: { [queue] id, cursor in queue.index[id].flatMap { Dispatcher.candidate($0, channel, cursor) } })
        switch decision {
        case .nothing: return false
        case .more:
            // Not at the end of this turn: what the clients sent meanwhile comes first.
            queue.loop.after(seconds: 0) { [weak self] in self?.bookTurn() }
            return false
        case .passEnded(let end): queue.passEnded(end)
        case .start(let start): begin(start)
        }
        return true
    }

    /// Calls `body` with the recipients that would go in one transaction from `cursor` on.
    private static func forEachOfGroup(
        _ message: QueuedMessage, _ channel: Channel, _ cursor: UInt32, _ body: (PackedRecipients.Recipient) -> Void
    ) {
        guard let first = message.record.recipients.nextPending(channel, from: cursor) else { return }
        body(first)
        guard channel == .remote, !isVERP(message.record.sender) else { return }
        let (host, relay) = (PackedRecipients.host(of: first.address), first.relay)
        var bytes = first.address.count
        var last = first
        var count = 1
        while count < Delivery.maxRecipients,
            let next = message.record.recipients.nextPending(.remote, from: message.record.recipients.offset(after: last)),
            bytes + next.address.count < Delivery.maxPacketBytes / 2, PackedRecipients.host(of: next.address) == host, next.relay == relay
        {
            body(next)
            bytes += next.address.count
            last = next
            count += 1
        }
    }

    private static func isVERP(_ sender: [UInt8]) -> Bool { Address(sender)?.withoutVERP != nil }

    private static func candidate(_ message: QueuedMessage, _ channel: Channel, _ cursor: UInt32) -> Schedule.Candidate? {
        var found: Schedule.Candidate?
        forEachOfGroup(message, channel, cursor) { recipient in
            let destination = found?.destination ?? destination(of: recipient)
            found = Schedule.Candidate(destination: destination, cursor: message.record.recipients.offset(after: recipient))
        }
        return found
    }

    /// The host that a delivery burdens: it takes a limited number at a time.
    private static func destination(of recipient: PackedRecipients.Recipient) -> [UInt8] {
        guard recipient.channel == .remote else { return [] }
        return recipient.relay.isEmpty ? PackedRecipients.host(of: recipient.address) : Array(recipient.relay)
    }

    /// The recipients of a delivery are settled here: an administrator may change the others while its message is being opened.
    private func settle(_ start: Schedule.Start, _ message: QueuedMessage) -> Running {
        var recipients: [(offset: UInt32, address: Address)] = []
        var relay: ArraySlice<UInt8> = []
        Dispatcher.forEachOfGroup(message, start.channel, start.cursor) { recipient in
            // What the queue holds was an address when it came in.
            recipients.append((recipient.offset, Address(recipient.address) ?? .null))
            relay = recipient.relay
        }
        offsetsUnderWay[start.id, default: []].formUnion(recipients.map(\.offset))
        return Running(start: start, recipients: recipients, relay: Array(relay))
    }

    private func begin(_ start: Schedule.Start) {
        guard let message = queue.index[start.id] else { return ended(start) }
        var running = settle(start, message)
        let channel = Int(start.channel.rawValue)
        opening[channel] += 1
        queue.handles.open(message) { [self] attachment in
            opening[channel] -= 1
            // While stopping too: ended without a delivery, its pass would put the next attempt off.
            announce(&running)
            guard let attachment else {
                return reported(running, running.recipients.map { _ in DeliveryReport(.deferred, "The queue cannot read this message. (#4.3.0)\n") })
            }
            send(running, message.record.sender, attachment) { [self] reports in
                queue.handles.release(start.id)
                reported(running, reports)
            }
        }
    }

    /// The lines that tell of a delivery: one each for every recipient, whatever goes together.
    private func announce(_ running: inout Running) {
        running.firstDelivery = lastDelivery + 1
        for recipient in running.recipients {
            lastDelivery += 1
            underWay[Int(running.start.channel.rawValue)] += 1
            queue.lines.starting(lastDelivery, running.start.id, running.start.channel, recipient.address.bytes[...])
            logStatus()
        }
    }

    private func noLongerUnderWay(_ running: Running) {
        for recipient in running.recipients { offsetsUnderWay[running.start.id]?.remove(recipient.offset) }
        if offsetsUnderWay[running.start.id]?.isEmpty == true { offsetsUnderWay[running.start.id] = nil }
    }

    private func send(
        _ running: Running, _ sender: [UInt8], _ attachment: PacketPeer.Attachment, _ completion: @escaping DeliveryDoor.Completion
    ) {
        guard let door = door(running.start.channel), let first = running.recipients.first, let sender = Address(sender) else {
            return completion(running.recipients.map { _ in DeliveryReport(.failed, "Internal error: address is malformed. (#5.3.5)\n") })
        }
        door.start(
            host: running.start.channel == .remote ? PackedRecipients.host(of: first.address.bytes[...]) : [], relay: running.relay[...],
            sender: sender.expandedVERP(for: first.address), recipients: running.recipients.map(\.address),
            attachment, completion)
    }

    /// A clock that is set back or a machine that slept must not delay mail for long.
    private static let longestWaitSeconds: UInt64 = 60

    private func bookWake(_ now: UInt64) {
        guard let due = schedule.nextDue(after: now) else { return }
        if let wakeTime {
            guard due < wakeTime.due else { return }
            queue.loop.cancel(wakeTime.token)
        }
        let token = queue.loop.after(seconds: Double(min(due - now, Self.longestWaitSeconds))) { [weak self] in
            self?.wakeTime = nil
            self?.bookTurn()
        }
        wakeTime = (due, token)
    }

    // MARK: Reports

    private func reported(_ running: Running, _ reports: [DeliveryReport]) {
        for (number, (recipient, report)) in zip(running.recipients, reports).enumerated() {
            note(report, of: recipient.offset, running.firstDelivery + UInt64(number), running.start)
            underWay[Int(running.start.channel.rawValue)] -= 1
            logStatus()
        }
        noLongerUnderWay(running)
        ended(running.start)
    }

    private func note(_ report: DeliveryReport, of recipient: UInt32, _ delivery: UInt64, _ start: Schedule.Start) {
        let fate = queue.index[start.id]?.record.recipients.recipient(at: recipient)?.state
        switch (report.outcome, fate) {
        case (.delivered, _):
            queue.lines.ended(delivery, "success", report.text)
            store(.outcome(id: start.id, recipient: recipient, .delivered, text: []))
        case (_, .removing):
            queue.lines.ended(delivery, report.outcome == .failed ? "failure" : "deferral", report.text)
            store(.outcome(id: start.id, recipient: recipient, .removed, text: []))
        case (.deferred, .expiring): fail(report.text + Administration.expiryText.utf8)
        case (.deferred, _) where start.isDying: fail(report.text + Failure.expiryText.utf8)
        case (.deferred, _):
            queue.lines.ended(delivery, "deferral", report.text)
            deferrals.note(start.id, recipient, report.text)
        case (.failed, _): fail(report.text)
        }
        func fail(_ text: ArraySlice<UInt8>) {
            queue.lines.ended(delivery, "failure", text)
            store(.outcome(id: start.id, recipient: recipient, .failed, text: queue.textToKeep(text, of: start.id)))
        }
    }

    /// Outcomes that wait for the end of a turn, at most.
    private static let maxOutcomesOfTurn = 500

    private func store(_ record: JournalRecord) {
        if outcomes.isEmpty { queue.loop.atEndOfTurn { [weak self] in self?.storeOutcomes() } }
        outcomes.append(record)
        if outcomes.count >= Self.maxOutcomesOfTurn { storeOutcomes() }
    }

    func storeOutcomes() {
        guard !outcomes.isEmpty else { return }
        let records = outcomes
        outcomes = []
        queue.note(records)
    }

    private func ended(_ start: Schedule.Start) {
        let end = schedule.ended(start.id, start.channel, destination: start.destination)
        if let end {
            // The pass is judged by what is stored.
            storeOutcomes()
            queue.passEnded(end)
        }
        bookTurn()
    }
}

/// Compares the clock of the wall with the one that only grows: set by years, it must not end the lifetime of all mail at once (hardening.md §2.3).
private struct ClockWatch {
    private var offset: Int64?

    private static let toleranceSeconds: Int64 = 3600

    mutating func hasJumped(_ now: UInt64) -> Bool {
        let current = Int64(clamping: now) - Int64(monotonicNanoseconds() / 1_000_000_000)
        defer { offset = current }
        guard let offset else { return false }
        return current - offset > Self.toleranceSeconds
    }
}
