internal import Addresses
private import Bounces
private import Bytes
internal import Journal
internal import JournalFormat
private import Glibc
internal import Posix

/// Makes the bounce for a message whose recipients have all ended and some of them failed (spec-qmail §8.2).
struct BounceMaker {
    private let queue: QueueManager

    init(_ queue: QueueManager) { self.queue = queue }

    /// Answers with the bounce as a message to store; nil when there is nobody to tell.
    func make(for message: QueuedMessage, _ completion: @escaping (QueueManager.Incoming?) -> Void) {
        let id = queue.takeID()
        guard let bounce = bounce(for: message) else { return completion(nil) }
        let limit =
            switch bounce.copy {
            case .whole: message.record.content.length
            case .header(let limit): Int(clamping: limit)
            }
        queue.files.read(message.id, message.record.content, limit: limit) { [queue] original in
            var content = queue.receivedLine(qp: id, how: "for bounce")
            content += bounce.prefix()
            if let original {
                content += bounce.copy == .whole ? original[...] : BounceMaker.header(of: original)
            } else {
                content += Array("(The queue could not read the message.)\n".utf8)
            }
            content += bounce.suffix()
            place(content, id) { content in
                completion(
                    QueueManager.Incoming(
                        id: id, qp: id, uid: getuid(), sender: bounce.sender, recipients: [bounce.recipient], content: content))
            }
        }
    }

    /// How long a full disk is waited for.
    private static let pauseSeconds = 5.0

    /// A bounce is mail like any other: a large one goes to a file of its own, as a batch must fit one segment. It is owed, so it is tried until it stands.
    private func place(_ content: [UInt8], _ id: UInt64, _ completion: @escaping (QueueManager.Incoming.Content) -> Void) {
        guard content.count > queue.maxInlineBytes else { return completion(.bytes(content)) }
        let file = queue.files.begin(id)
        queue.files.append(content, to: file) {}
        queue.files.finish(file) { result in
            switch result {
            case .success(let reference): completion(.stored(reference))
            case .failure(let error):
                log("queue: warning: bounce \(id) could not be kept, trying again: \(error)")
                queue.loop.after(seconds: Self.pauseSeconds) { place(content, id, completion) }
            }
        }
    }

    private func bounce(for message: QueuedMessage) -> Bounce? {
        let record = message.record
        let settings = queue.settings
        guard let sender = Address(record.sender) else { return nil }
        let recipient = sender.isNull ? Address(settings.doubleBounceTo) : sender.withoutVERP ?? sender
        guard let recipient else { return nil }
        let format: Bounce.Format = settings.isQSBMF ? .qsbmf : .deliveryReport(boundary())
        return Bounce(
            from: (settings.bounceFrom, settings.bounceHost), reportingHost: settings.me, date: unixTime(), arrival: record.birth,
            recipient: recipient, kind: sender.isNull ? .double : .single, format: format, failures: failures(record),
            originalSize: UInt64(record.content.length), maxBytes: settings.bounceMaxBytes)
    }

    private func failures(_ record: MessageRecord) -> [Failure] {
        var failures: [Failure] = []
        record.failures.forEach { offset, text in
            guard let recipient = record.recipients.recipient(at: offset), let address = Address(recipient.address) else { return }
            failures.append(Failure(recipient: recipient.channel == .local ? queue.rewriting.unprepended(address) : address, text: text))
        }
        return failures
    }

    private func boundary() -> MIMEBoundary {
        let bytes = randomBytes(16)
        let number = { (part: ArraySlice<UInt8>) in part.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
        return MIMEBoundary(number(bytes[..<8]), number(bytes[8...]))
    }

    /// Up to the first empty line, without it.
    private static func header(of content: [UInt8]) -> ArraySlice<UInt8> {
        var previous = ASCII.lf
        for index in content.indices {
            if content[index] == ASCII.lf, previous == ASCII.lf { return content[..<index] }
            previous = content[index]
        }
        return content[...]
    }
}
