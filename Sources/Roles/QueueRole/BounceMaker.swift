internal import Addresses
private import Bounces
private import Bytes
private import Glibc
internal import Journal
internal import JournalFormat
internal import Posix
internal import QueueStore
private import Schedule

/// Makes the bounce for a message whose recipients have all ended and some of them failed (spec-qmail §8.2). The text is made on a thread of its own: for a
/// list of a million it takes a while.
final class BounceMaker {
    private unowned let queue: QueueManager
    private let thread: WorkThread
    private var pace: BouncePace

    /// Above so many failures the sender is told in qmail's format, which names each address once.
    private static let reportLimit = 10_000
    private static let readAttempts = 5
    private static let readPauseSeconds = 1.0

    init(_ queue: QueueManager, _ thread: WorkThread) {
        self.queue = queue
        self.thread = thread
        pace = BouncePace(rate: queue.settings.bouncesPerHour, longestWait: queue.settings.limits.lifetime / 2)
    }

    /// Answers with the bounce as a message to store; nil when there is nobody to tell.
    func make(for message: QueuedMessage, _ completion: @escaping (QueueManager.Incoming?) -> Void) {
        guard let bounce = plan(message) else {
            queue.lines.line("alert: failures of msg \(message.id) cannot be told: its sender is no address")
            return completion(nil)
        }
        read(message, limit: bounce.copyBytes, attempt: 1) { [self] original in
            let id = queue.takeID()
            let received = queue.receivedLine(qp: id, how: "for bounce")
            thread.run({ received + bounce.content(copying: original) }) { [self] content in
                store(content, id) { stored in
                    completion(
                        QueueManager.Incoming(
                            id: id, qp: id, uid: getuid(), sender: bounce.sender, recipients: [bounce.recipient], content: stored,
                            due: self.due(bounce, id)))
                }
            }
        }
    }

    /// The original, as far as it goes back; nil when it is damaged, which is known only after some attempts.
    private func read(_ message: QueuedMessage, limit: Int, attempt: Int, _ completion: @escaping ([UInt8]?) -> Void) {
        let content = message.record.content
        queue.files.read(message.id, content, limit: limit) { [self] bytes in
            if bytes != nil { return completion(bytes) }
            // Cleaning may have moved it meanwhile; a disk or a table of descriptors may be better in a second.
            guard attempt < Self.readAttempts else {
                queue.lines.line("alert: the bounce of msg \(message.id) goes out without a copy: its content cannot be read")
                return completion(nil)
            }
            let pause = message.record.content != content ? 0 : Self.readPauseSeconds
            queue.loop.after(seconds: pause) { [self] in read(message, limit: limit, attempt: attempt + 1, completion) }
        }
    }

    /// Local senders and the postmaster are told at once; elsewhere the sender may be forged.
    private func due(_ bounce: BouncePlan, _ id: UInt64) -> UInt64? {
        guard queue.route(of: bounce.recipient)?.channel == .remote else { return nil }
        let now = unixTime()
        let due = pace.due(bounce.recipient.bytes.lowercasedASCII(), now: now)
        guard due > now else { return nil }
        queue.lines.line("bounce msg \(id) waits \(due - now) seconds: too many an hour to \(logsafe(bounce.recipient.bytes))")
        return due
    }

    /// How long a full disk is waited for.
    private static let storePauseSeconds = 5.0

    /// A bounce is owed: when there is no room for a large one, it is tried until there is.
    private func store(_ content: [UInt8], _ id: UInt64, _ completion: @escaping (QueueManager.Incoming.Content) -> Void) {
        guard content.count > queue.maxInlineBytes else { return completion(.bytes(content)) }
        let file = queue.files.begin(id)
        queue.files.append(content, to: file) {}
        queue.files.finish(file) { [self] result in
            switch result {
            case .success(let reference): completion(.stored(reference))
            case .failure(let error):
                log("queue: warning: bounce \(id) could not be kept, trying again: \(error)")
                queue.loop.after(seconds: Self.storePauseSeconds) { [self] in store(content, id, completion) }
            }
        }
    }

    private func plan(_ message: QueuedMessage) -> BouncePlan? {
        let settings = queue.settings
        guard let sender = Address(message.record.sender) else { return nil }
        guard let recipient = sender.isNull ? Address(settings.doubleBounceTo) : sender.withoutVERP ?? sender else { return nil }
        let isQSBMF = settings.isQSBMF || message.record.recipients.failedCount > Self.reportLimit
        return BouncePlan(
            record: message.record, rewriting: queue.rewriting, recipient: recipient, isDouble: sender.isNull,
            from: (settings.bounceFrom, settings.bounceHost), me: settings.me, maxBytes: settings.bounceMaxBytes,
            format: isQSBMF ? .qsbmf : .deliveryReport(boundary()), date: unixTime())
    }

    private func boundary() -> MIMEBoundary {
        let bytes = randomBytes(16)
        let number = { (part: ArraySlice<UInt8>) in part.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
        return MIMEBoundary(number(bytes[..<8]), number(bytes[8...]))
    }
}
