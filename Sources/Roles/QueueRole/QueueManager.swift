internal import Addresses
private import Bytes
internal import ControlFiles
private import Dates
internal import Journal
internal import JournalFormat
internal import Posix
internal import QueueStore
internal import Routing
internal import Schedule

/// The heart of the queue role: what lives, what is due, what is being delivered. One thread owns it; the store's answers come back on its loop.
///
/// A message's way: ``accept(_:_:)`` → stored → listed → scheduled → delivered by ``Dispatcher`` → ``finish(_:)``, with a bounce if recipients failed.
final class QueueManager {
    /// A message as a door hands it over.
    struct Incoming {
        enum Content {
            case bytes([UInt8])
            /// In a content file, durable.
            case stored(ContentReference)
        }

        let id: UInt64
        let qp: UInt64
        let uid: UInt32
        let sender: Address
        let recipients: [Address]
        let content: Content
        /// When it is tried first, if not now.
        var due: UInt64?
    }

    enum Verdict {
        case accepted(time: UInt64)
        case refused
        case unknown
    }

    let loop: EventLoop
    let lines: QueueLog
    let settings: QueueSettings
    let store: JournalStore
    let files: ContentFiles
    let handles: MessageHandles
    private let invokers: Invokers
    var rewriting: AddressRewriting
    /// Their own commands change them, without a HUP: looked at for each message.
    private let accountDomains: Watched<Set<[UInt8]>>
    private(set) var index: QueueIndex
    /// Messages that have ended and stay in ``index`` until the log says so on disk.
    private(set) var endingCount = 0
    private lazy var bounces = BounceMaker(self, bounceThread)
    private let bounceThread: WorkThread
    private var cleaner: Cleaner
    private var cleaningSteps = 0
    private var cleaningWaits = false
    var dispatcher: Dispatcher?
    /// The store cannot go on: the process must end, and recovery decides.
    private let fail: (String) -> Void

    init(
        loop: EventLoop, lines: QueueLog, settings: QueueSettings, rewriting: AddressRewriting, accountDomains: Watched<Set<[UInt8]>>,
        invokers: Invokers,
        store: JournalStore, files: ContentFiles, index: QueueIndex, bounceThread: WorkThread, fail: @escaping (String) -> Void
    ) {
        self.loop = loop
        self.lines = lines
        self.settings = settings
        self.rewriting = rewriting
        self.accountDomains = accountDomains
        self.invokers = invokers
        self.store = store
        self.files = files
        self.index = index
        self.bounceThread = bounceThread
        self.fail = fail
        handles = MessageHandles(files)
        cleaner = Cleaner(index)
    }

    func takeID() -> UInt64 { store.takeID() }

    var maxInlineBytes: Int { store.parameters.maxInlineBytes }
    var maxEnvelopeBytes: Int { store.parameters.maxEnvelopeBytes }

    /// What recovery found goes to work: at the times it had, or to its end if the crash came just before that.
    func resume() {
        for (id, message) in index.messages.sorted(by: { $0.key < $1.key }) {
            endInterrupted(message)
            if message.record.recipients.isFinished { finish(id) } else { schedule(message, isSpared: true) }
        }
        clean()
    }

    /// Recipients that an administrator ended while they were being delivered to: that delivery went down with the last process.
    private func endInterrupted(_ message: QueuedMessage) {
        var records: [JournalRecord] = []
        message.record.recipients.visit { recipient in
            guard recipient.state == .expiring || recipient.state == .removing else { return }
            let text = recipient.state == .expiring ? Array(Administration.expiryText.utf8) : []
            records.append(.outcome(id: message.id, recipient: recipient.offset, recipient.state == .expiring ? .failed : .removed, text: text[...]))
        }
        if !records.isEmpty { note(records) }
    }

    /// Every id, the first last. Sorted beside the loop: of a million it takes a while.
    func sortedIDs(_ completion: @escaping ([UInt64]) -> Void) {
        let ids = Array(index.messages.keys)
        bounceThread.run({ ids.sorted(by: >) }, then: completion)
    }

    // MARK: Acceptance

    /// spec-qmail §3.1; the queue writes it for every door.
    func receivedLine(qp: UInt64, uid: UInt32, isNetwork: Bool) -> [UInt8] {
        receivedLine(qp: qp, how: invokers.words(uid: uid, isNetwork: isNetwork))
    }

    func receivedLine(qp: UInt64, how: String) -> [UInt8] {
        Array("Received: (qmail \(qp) invoked \(how)); \(MailDate(unixTime()).header)\n".utf8)
    }

    func accept(_ incoming: Incoming, _ completion: @escaping (Verdict) -> Void) {
        let (record, content) = record(of: incoming)
        store.submit(.accept(record, content: content), under: store.lease) { [self] answer in
            switch answer {
            case .durable(let placement?):
                // The client's answer is on its way before anything else is done with the message.
                completion(.accepted(time: record.birth))
                enter(record, placement)
            case .refused(let failure):
                if case .stored = incoming.content { files.remove(record.id) }
                warnOnce(failure)
                completion(.refused)
            case .durable(nil), .unknown, .leaseLost:
                completion(.unknown)
                give(up: answer)
            }
        }
    }

    func record(of incoming: Incoming) -> (MessageRecord, content: [UInt8]?) {
        rewriting.accountDomains = accountDomains.refreshed()
        let routes = incoming.recipients.map(route(of:))
        let now = unixTime()
        let (content, reference): ([UInt8]?, ContentReference) =
            switch incoming.content {
            case .bytes(let bytes): (bytes, .inline(segment: 0, offset: 0, length: UInt32(clamping: bytes.count), check: 0))
            case .stored(let reference): (nil, reference)
            }
        var record = MessageRecord(
            id: incoming.id, birth: now, qp: incoming.qp, uid: incoming.uid, sender: incoming.sender.bytes,
            recipients: PackedRecipients(grouping: routes.compactMap { $0.map { PackedRecipients.Routed($0) } }), nextLocal: now,
            nextRemote: incoming.due ?? now, failures: FailureTexts(), content: reference)
        for (recipient, route) in zip(incoming.recipients, routes) where route == nil {
            let text = store.parameters.textToKeep(Array(AddressRewriting.tooLongText.utf8)[...], kept: record.failures.bytes.count)
            record.append(failed: recipient.bytes, text)
        }
        return (record, content)
    }

    /// Where a recipient goes by the control files; nil when what it becomes is too long for an address.
    func route(of recipient: Address) -> PackedRecipients.Route? {
        rewriting.channel(of: recipient).map { PackedRecipients.Route($0.channel, $0.recipient.bytes, prepended: $0.prepended) }
    }

    /// Recipients came to a channel by another route: they are due now.
    /// - Parameter wasWaiting: the message had others there, or they were being walked through.
    func due(_ message: QueuedMessage, _ channel: Channel, wasWaiting: Bool) {
        let now = unixTime()
        note([.retry(id: message.id, channel, next: now)])
        if wasWaiting { dispatcher?.makeDue(message.id, channel) } else { dispatcher?.add(message.id, channel, due: now) }
    }

    /// A stored message begins its life here.
    func enter(_ record: MessageRecord, _ placement: Placement) {
        var record = record
        record.content = placement.content
        index.apply(.accept(record), segment: placement.segment)
        cleaner.placed(record.id, in: placement.segment)
        lines.newMessage(record.id)
        lines.info(record.id, bytes: record.content.length, sender: record.sender, qp: record.qp, uid: record.uid)
        let failedCount = record.recipients.failedCount
        if failedCount > 0 { lines.line("msg \(record.id): \(failedCount) recipients fail at once: their addresses become too long") }
        guard let message = index[record.id] else { return }
        if record.recipients.isFinished { finish(record.id) } else { schedule(message) }
        clean()
    }

    private func schedule(_ message: QueuedMessage, isSpared: Bool = false) {
        if message.record.isHeld { dispatcher?.hold(message.id) }
        for channel in Channel.allCases where message.record.recipients.pendingCount(channel) > 0 {
            dispatcher?.add(message.id, channel, due: message.record.next(channel), isSpared: isSpared)
        }
    }

    private var warnedAt: UInt64 = 0
    private static let warningPauseSeconds: UInt64 = 60

    private func warnOnce(_ failure: Journal.Failure) {
        let now = unixTime()
        guard now >= warnedAt + Self.warningPauseSeconds else { return }
        warnedAt = now
        switch failure {
        case .noRoom, .tooLarge: lines.line("warning: queue disk is full: new mail is refused for now, deliveries go on")
        case .voided, .disk: lines.line("alert: queue disk failed to write: new mail is refused for now")
        }
    }

    private var hasGivenUp = false

    private func give(up answer: JournalStore.Answer) {
        guard !hasGivenUp else { return }
        hasGivenUp = true
        fail("the queue cannot be written any more (\(answer)); starting again")
    }

    // MARK: Outcomes

    /// Stores what happened to recipients; nobody waits for it.
    func note(_ records: [JournalRecord], durable: @escaping () -> Void = {}) {
        for record in records { index.apply(record) }
        let entries = store.parameters.entries(of: records)
        for (number, entry) in entries.enumerated() {
            store.submit(.records(entry), under: store.lease) { [self] answer in
                guard case .durable = answer else { return give(up: answer) }
                if number == entries.count - 1 { durable() }
            }
        }
    }

    /// As much of a report as is kept for the bounce.
    func textToKeep(_ text: ArraySlice<UInt8>, of id: UInt64) -> ArraySlice<UInt8> {
        store.parameters.textToKeep(text, kept: index[id]?.record.failures.bytes.count ?? 0)
    }

    /// A pass of a channel has ended.
    func passEnded(_ end: Schedule.PassEnd) {
        guard let message = index[end.id], !message.isEnding else { return }
        if message.record.recipients.pendingCount(end.channel) > 0 {
            note([.retry(id: end.id, end.channel, next: end.next)])
            dispatcher?.add(end.id, end.channel, due: end.next, isSpared: end.isSpared)
            handles.drop(end.id)
        } else if message.record.recipients.isFinished {
            finish(end.id)
        }
    }

    // MARK: The end of a message

    func finish(_ id: UInt64) {
        // Two passes may find at the same time that nothing is left.
        guard let message = index[id], !message.isEnding else { return }
        message.isEnding = true
        endingCount += 1
        guard message.record.recipients.failedCount > 0 else { return end(message, bounce: nil) }
        if message.record.sender == Address.doubleBounce.bytes {
            lines.line("triple bounce: discarding bounce/\(id)")
            return end(message, bounce: nil)
        }
        bounces.make(for: message) { [self] incoming in end(message, bounce: incoming) }
    }

    private func end(_ message: QueuedMessage, bounce incoming: Incoming?) {
        let id = message.id
        let isFile = if case .file = message.record.content { true } else { false }
        let bounce = incoming.map(record(of:))
        handles.forget(id)
        dispatcher?.forget(id)
        if incoming == nil { lines.endOfMessage(id) }
        let entry = JournalEntry.finish(id: id, bounce: bounce?.0, bounceContent: bounce?.content ?? [])
        store.submit(entry, under: store.lease) { [self] answer in
            if case .refused(.tooLarge) = answer, let incoming { return endWithoutBounce(message, incoming) }
            guard case .durable(let placement) = answer else { return give(up: answer) }
            // Only now: what the log does not know to have ended must not be cut off by cleaning.
            index.apply(.finish(id: id, bounce: incoming?.id ?? 0))
            endingCount -= 1
            if isFile { files.remove(id) }
            if let bounce, let placement {
                lines.line("bounce msg \(id) qp \(bounce.0.qp)")
                lines.endOfMessage(id)
                enter(bounce.0, placement)
            }
            clean()
        }
    }

    /// The envelope of a bounce has one address and its content is bounded or in a file: this is a defect, and must not be a silent one.
    private func endWithoutBounce(_ message: QueuedMessage, _ bounce: Incoming) {
        lines.line("alert: bounce of msg \(message.id) is larger than the queue can hold; the sender is not told")
        if case .stored = bounce.content { files.remove(bounce.id) }
        end(message, bounce: nil)
    }

    // MARK: Cleaning

    /// The last entry of an orderly stop.
    func closeLog() { store.submit(.stop, under: store.lease) { _ in } }

    /// Nothing is cleaned while the process is ending.
    func stopCleaning() { cleaningWaits = true }

    /// One step at a time; each answer leads to the next.
    private func clean() {
        guard cleaningSteps == 0, !cleaningWaits else { return }
        let state = store.log
        let log = Cleaner.Log(
            oldestSegment: state.oldestSegment, newestSegment: state.newestSegment, segmentSize: store.parameters.segmentSize,
            known: store.known, isShort: state.freeSegments <= store.parameters.reservedSegments)
        let entries = cleaner.step(index, log)
        cleaningSteps = entries.count
        for entry in entries {
            store.submit(entry, under: store.lease) { [self] answer in
                cleaningSteps -= 1
                switch answer {
                case .durable(let placement): cleaned(entry, placement)
                case .refused(let failure):
                    lines.line("warning: queue segment \(log.oldestSegment) cannot be read now: \(failure); it will be tried again")
                    cleaner.retry()
                    waitWithCleaning()
                case .unknown, .leaseLost: give(up: answer)
                }
            }
        }
    }

    private func cleaned(_ entry: JournalEntry, _ placement: Placement?) {
        switch entry {
        case .carry(let record):
            if let placement {
                if placement.isDamaged { lines.line("alert: content of msg \(record.id) is damaged on the disk") }
                index.moved(record.id, to: placement)
                cleaner.placed(record.id, in: placement.segment)
            }
        case .release(let segment, _):
            if store.log.oldestSegment > segment {
                cleaner.released(segment)
            } else {
                waitWithCleaning()
            }
        default: break
        }
        clean()
    }

    /// Something that is still under way stands in the segment, or there is no room to say that it is free.
    private func waitWithCleaning() {
        guard !cleaningWaits else { return }
        cleaningWaits = true
        loop.after(seconds: 1) { [self] in
            cleaningWaits = false
            clean()
        }
    }
}
