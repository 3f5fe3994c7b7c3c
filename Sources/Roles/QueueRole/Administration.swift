internal import Addresses
internal import Frames
internal import Journal
internal import JournalFormat
private import Posix

/// An administrator's action on all messages of a selection, in slices: mail flows on between them, and a queue of a million holds up nobody. What was
/// done is durable when ``isDone``; an action that is cut off has been done to those it came to.
final class Administration {
    /// What the sender is told of an expired recipient.
    static let expiryText = "The administrator of this host has ended the attempts to deliver this message. (#5.4.7)\n"

    /// Messages looked at, and recipients changed, in one slice.
    private static let messagesPerSlice = 2000
    private static let recordsPerSlice = 500
    /// Entries on the way to the disk.
    private static let maxUnanswered = 32
    /// Messages on their way out: the bounce of each is made in memory, with its copy of the original.
    private static let maxEnding = 32

    private let queue: QueueManager
    private let action: Admin.Action
    private let selection: Admin.Selection
    /// Who does it, for the log.
    private let uid: UInt32
    /// Still to be looked at, the next one last.
    private var ids: [UInt64]
    private var isReady = true
    /// Which of the recipients of the next one are still to be looked at; nil: it was not begun.
    private var rest: Range<UInt32>?
    private var hasChanged = false
    private var unanswered = 0
    private var isSyncing = false
    private(set) var progress = Admin.Progress()
    /// What could not be done, and why.
    private(set) var refusal: String?
    /// Bytes that the list of recipients will have.
    private var listBytes = 0
    /// Ids that were asked for and are not in the queue; whoever tells of them takes them away.
    var missing: [UInt64] = []

    init(_ queue: QueueManager, _ action: Admin.Action, _ selection: Admin.Selection, uid: UInt32) {
        self.queue = queue
        self.action = action
        self.selection = selection
        self.uid = uid
        ids = selection.ids.reversed()
        progress.total = UInt64(ids.count)
        guard selection.ids.isEmpty else { return }
        isReady = false
        queue.sortedIDs { [weak self] all in
            guard let self else { return }
            ids = all
            progress.total = UInt64(all.count)
            isReady = true
        }
    }

    var isDone: Bool { isReady && ids.isEmpty && unanswered == 0 }

    /// The next slice.
    func step() {
        guard isReady, unanswered < Self.maxUnanswered else { return }
        // What deliveries reported in this turn comes first: their recipients have ended.
        queue.dispatcher?.storeOutcomes()
        var (messages, records) = (0, 0)
        let now = unixTime()
        while messages < Self.messagesPerSlice, records < Self.recordsPerSlice, action != .expire || queue.endingCount < Self.maxEnding,
            let id = ids.last
        {
            messages += 1
            let changes = changes(id, now, limit: Self.recordsPerSlice - records)
            records += changes.count
            if rest == nil {
                ids.removeLast()
                progress.seen += 1
                if hasChanged { progress.messages += 1 }
                hasChanged = false
            }
        }
        // The next slice waits for the entries of this one: a sync that comes by itself is a second away.
        if ids.isEmpty ? !isSyncing : unanswered >= Self.maxUnanswered {
            isSyncing = ids.isEmpty
            queue.store.syncNow()
        }
    }

    /// Does what is to be done to a message, or to the next of its recipients.
    private func changes(_ id: UInt64, _ now: UInt64, limit: Int) -> [JournalRecord] {
        guard let message = queue.index[id], !message.isEnding else {
            rest = nil
            if !selection.ids.isEmpty { missing.append(id) }
            return []
        }
        guard rest != nil || selection.matches(message.record, now: now) else { return [] }
        let records =
            switch action {
            case .hold, .release, .retry: selection.matchesSome(message.record.recipients) ? changeMessage(message, now) : []
            case .expire, .remove, .reroute, .rerouteVia: changeRecipients(message, limit)
            }
        guard !records.isEmpty else { return [] }
        hasChanged = true
        store(records, of: message)
        return records
    }

    private func line(_ text: String) { queue.lines.line("\(text) by uid \(uid)") }

    // MARK: Messages

    private func changeMessage(_ message: QueuedMessage, _ now: UInt64) -> [JournalRecord] {
        let id = message.id
        switch action {
        case .hold where !message.record.isHeld:
            line("hold msg \(id)")
            return [.hold(id: id)]
        case .release where message.record.isHeld:
            line("release msg \(id)")
            return [.release(id: id)]
        case .retry:
            line("retry msg \(id)")
            return Channel.allCases.filter { message.record.recipients.pendingCount($0) > 0 && (selection.channel ?? $0) == $0 }
                .map { .retry(id: id, $0, next: now) }
        default: return []
        }
    }

    // MARK: Recipients

    /// Those that are new at the end of the list, because they were rerouted, are not looked at again.
    private func changeRecipients(_ message: QueuedMessage, _ limit: Int) -> [JournalRecord] {
        let recipients = message.record.recipients
        var cursor = rest?.lowerBound ?? 0
        let end = rest?.upperBound ?? UInt32(recipients.bytes.count)
        listBytes = recipients.bytes.count
        var records: [JournalRecord] = []
        var looked = 0
        while cursor < end, records.count < limit, looked < 10 * limit, let recipient = recipients.recipient(at: cursor) {
            looked += 1
            cursor = recipients.offset(after: recipient)
            if selection.matches(recipient), let record = change(recipient, message.id) { records.append(record) }
        }
        rest = cursor < end ? cursor..<end : nil
        progress.recipients += UInt64(records.count)
        return records
    }

    private func change(_ recipient: PackedRecipients.Recipient, _ id: UInt64) -> JournalRecord? {
        switch action {
        case .expire: expire(recipient, id)
        case .remove: remove(recipient, id)
        case .reroute, .rerouteVia: reroute(recipient, id)
        case .hold, .release, .retry: nil
        }
    }

    private func expire(_ recipient: PackedRecipients.Recipient, _ id: UInt64) -> JournalRecord? {
        guard recipient.state == .pending else { return nil }
        line("expire msg \(id) \(words(recipient))")
        if isUnderWay(recipient, id) { return .outcome(id: id, recipient: recipient.offset, .expiring, text: []) }
        let text = (queue.dispatcher?.deferrals[id, recipient.offset] ?? []) + Array(Self.expiryText.utf8)
        return .outcome(id: id, recipient: recipient.offset, .failed, text: queue.textToKeep(text[...], of: id))
    }

    private func remove(_ recipient: PackedRecipients.Recipient, _ id: UInt64) -> JournalRecord? {
        guard recipient.state.isOpen && recipient.state != .removing || recipient.state == .failed else { return nil }
        line("remove msg \(id) \(words(recipient))")
        let isUnderWay = recipient.state != .failed && isUnderWay(recipient, id)
        return .outcome(id: id, recipient: recipient.offset, isUnderWay ? .removing : .removed, text: [])
    }

    private func reroute(_ recipient: PackedRecipients.Recipient, _ id: UInt64) -> JournalRecord? {
        guard recipient.state == .pending, let route = newRoute(recipient), !route.isTaken(by: recipient) else { return nil }
        guard !isUnderWay(recipient, id), hasRoom(for: route, id) else { return nil }
        let relay = route.channel == .remote && !route.note.isEmpty ? " via \(logsafe(route.note))" : ""
        line("reroute msg \(id) \(words(recipient)): \(route.channel) \(logsafe(route.address))\(relay)")
        return .reroute(id: id, recipient: recipient.offset, route)
    }

    /// The old recipient stays in the list. One that no segment can hold could never be written again: no segment behind it would become free.
    private func hasRoom(for route: PackedRecipients.Route, _ id: UInt64) -> Bool {
        guard listBytes + route.packedBytes <= queue.maxEnvelopeBytes else {
            refusal =
                "the list of message \(id) has no room for more rerouted recipients: raise control/queuesegmentbytes, start martletd again, repeat"
            return false
        }
        listBytes += route.packedBytes
        return true
    }

    private func newRoute(_ recipient: PackedRecipients.Recipient) -> PackedRecipients.Route? {
        if case .rerouteVia(let relay) = action {
            return recipient.channel == .remote ? PackedRecipients.Route(remote: Array(recipient.address), relay: relay) : nil
        }
        guard let address = Address(recipient.address) else { return nil }
        // What the files say now tells nothing of a recipient whose prepend is known, or who never had one.
        let original = recipient.prependedCount.map { Address(recipient.address.dropFirst($0)) } ?? queue.rewriting.unprepended(address)
        return original.flatMap(queue.route(of:))
    }

    private func isUnderWay(_ recipient: PackedRecipients.Recipient, _ id: UInt64) -> Bool {
        guard queue.dispatcher?.isUnderWay(id, recipient.offset) == true else { return false }
        progress.underWay += 1
        return true
    }

    private func words(_ recipient: PackedRecipients.Recipient) -> String { "\(recipient.channel) \(logsafe(recipient.address))" }

    // MARK: Effect

    private func store(_ records: [JournalRecord], of message: QueuedMessage) {
        let id = message.id
        let wasWaiting = Channel.allCases.map { message.record.recipients.pendingCount($0) > 0 || queue.dispatcher?.isInPass(id, $0) == true }
        unanswered += 1
        queue.note(records) { [self] in unanswered -= 1 }
        for channel in Channel.allCases where wasWaiting[Int(channel.rawValue)] && message.record.recipients.pendingCount(channel) == 0 {
            queue.dispatcher?.withdraw(id, channel)
        }
        switch action {
        case .hold: queue.dispatcher?.hold(id)
        case .release: queue.dispatcher?.release(id)
        case .retry: for case .retry(_, let channel, _) in records { queue.dispatcher?.makeDue(id, channel) }
        case .expire, .remove: if message.record.recipients.isFinished { queue.finish(id) }
        case .reroute, .rerouteVia:
            let channels = Set(records.compactMap { record -> Channel? in if case .reroute(_, _, let route) = record { route.channel } else { nil } })
            for channel in channels { queue.due(message, channel, wasWaiting: wasWaiting[Int(channel.rawValue)]) }
        }
    }
}
