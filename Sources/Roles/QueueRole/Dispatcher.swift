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
    /// Outcomes of this turn: they are stored together.
    private var outcomes: [JournalRecord] = []

    private struct Running {
        let start: Schedule.Start
        let recipients: [PackedRecipients.Recipient]
        let firstDelivery: UInt64
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

    // MARK: Events

    func add(_ id: UInt64, _ channel: Channel, due: UInt64) {
        schedule.add(id, channel, due: due)
        bookTurn()
    }

    func retryAllNow() {
        schedule.makeAllDue(now: unixTime())
        bookTurn()
    }

    /// Starts nothing more.
    func stop() { isStopping = true }

    var isIdle: Bool { schedule.inFlight(.local) == 0 && schedule.inFlight(.remote) == 0 }

    func logStatus() {
        let limits = schedule.limits
        queue.lines.line(
            "status: local \(schedule.inFlight(.local))/\(limits.concurrencyLocal) remote \(schedule.inFlight(.remote))/\(limits.concurrencyRemote)"
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
        for channel in Channel.allCases { startAll(channel, now) }
        bookWake(now)
    }

    private func startAll(_ channel: Channel, _ now: UInt64) {
        guard let door = channel == .local ? local : remote else { return }
        var room = door.room
        let index = queue.index
        while true {
            let decision = schedule.next(channel, room: room, now: now, birth: { index[$0]?.record.birth }) { id, cursor in
                index[id].flatMap { Dispatcher.candidate($0, channel, cursor) }
            }
            switch decision {
            case .nothing: return
            case .passEnded(let end): queue.passEnded(end)
            case .start(let start):
                room -= 1
                begin(start)
            }
        }
    }

    /// The recipients that would go in one transaction from `cursor` on.
    private static func group(_ message: QueuedMessage, _ channel: Channel, _ cursor: UInt32) -> [PackedRecipients.Recipient] {
        let recipients = message.record.recipients
        guard let first = recipients.nextPending(channel, from: cursor) else { return [] }
        guard channel == .remote, !isVERP(message.record.sender) else { return [first] }
        let host = PackedRecipients.host(of: first.address)
        var group = [first]
        var bytes = first.address.count
        var last = first
        while group.count < Delivery.maxRecipients, let next = recipients.nextPending(.remote, from: recipients.offset(after: last)),
            bytes + next.address.count < Delivery.maxPacketBytes / 2, PackedRecipients.host(of: next.address) == host
        {
            group.append(next)
            bytes += next.address.count
            last = next
        }
        return group
    }

    private static func isVERP(_ sender: [UInt8]) -> Bool { Address(sender)?.withoutVERP != nil }

    private static func candidate(_ message: QueuedMessage, _ channel: Channel, _ cursor: UInt32) -> Schedule.Candidate? {
        guard let last = group(message, channel, cursor).last else { return nil }
        return Schedule.Candidate(
            destination: channel == .remote ? PackedRecipients.host(of: last.address) : [], cursor: message.record.recipients.offset(after: last))
    }

    private func begin(_ start: Schedule.Start) {
        guard let message = queue.index[start.id] else { return ended(start) }
        let recipients = Dispatcher.group(message, start.channel, start.cursor)
        queue.handles.open(message) { [self] attachment in
            let running = Running(start: start, recipients: recipients, firstDelivery: lastDelivery + 1)
            lastDelivery += UInt64(recipients.count)
            for (number, recipient) in recipients.enumerated() {
                queue.lines.starting(running.firstDelivery + UInt64(number), start.id, start.channel, recipient.address)
            }
            logStatus()
            guard let attachment else {
                return reported(running, recipients.map { _ in DeliveryReport(.deferred, "The queue cannot read this message. (#4.3.0)\n") })
            }
            let completion: DeliveryDoor.Completion = { [self] reports in
                queue.handles.release(start.id)
                reported(running, reports)
            }
            send(running, message.record.sender, attachment, completion)
        }
    }

    private func send(
        _ running: Running, _ sender: [UInt8], _ attachment: PacketPeer.Attachment, _ completion: @escaping DeliveryDoor.Completion
    ) {
        guard let door = running.start.channel == .local ? local : remote, let first = running.recipients.first,
            let sender = Address(sender), let firstAddress = Address(first.address)
        else { return completion(running.recipients.map { _ in DeliveryReport(.failed, "Internal error: address is malformed. (#5.3.5)\n") }) }
        door.start(
            host: running.start.destination, sender: sender.expandedVERP(for: firstAddress),
            recipients: running.recipients.compactMap { Address($0.address) }, attachment, completion)
    }

    private func bookWake(_ now: UInt64) {
        guard let due = schedule.nextDue, due > now else { return }
        if let wakeTime {
            guard due < wakeTime.due else { return }
            queue.loop.cancel(wakeTime.token)
        }
        // A clock that is set back or a machine that slept must not delay mail for long.
        let seconds = min(Double(due - now), 60)
        let token = queue.loop.after(seconds: seconds) { [weak self] in
            self?.wakeTime = nil
            self?.bookTurn()
        }
        wakeTime = (due, token)
    }

    // MARK: Reports

    private func reported(_ running: Running, _ reports: [DeliveryReport]) {
        for (number, (recipient, report)) in zip(running.recipients, reports).enumerated() {
            note(report, of: recipient, running.firstDelivery + UInt64(number), running.start)
        }
        ended(running.start)
        logStatus()
    }

    private func note(_ report: DeliveryReport, of recipient: PackedRecipients.Recipient, _ delivery: UInt64, _ start: Schedule.Start) {
        switch report.outcome {
        case .delivered:
            queue.lines.ended(delivery, "success", report.text)
            store(.outcome(id: start.id, recipient: recipient.offset, .delivered, text: []))
        case .deferred where !start.isDying: queue.lines.ended(delivery, "deferral", report.text)
        case .failed, .deferred:
            let text = start.isDying && report.outcome == .deferred ? report.text + Failure.expiryText.utf8 : report.text
            queue.lines.ended(delivery, "failure", text)
            store(.outcome(id: start.id, recipient: recipient.offset, .failed, text: text))
        }
    }

    private func store(_ record: JournalRecord) {
        if outcomes.isEmpty { queue.loop.atEndOfTurn { [weak self] in self?.storeOutcomes() } }
        outcomes.append(record)
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
