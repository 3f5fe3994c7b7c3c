internal import Addresses
private import Bytes
internal import JournalFormat
internal import Posix
internal import QmailQueueFormat
private import Routing

/// A message of qmail's queue as its files describe it, without its content.
struct SourceMessage {
    var sender: Address
    /// What the Received line or the envelope says.
    var qp: UInt64
    var uid: UInt32
    /// Seconds since 1970.
    var birth: UInt64
    var nextLocal: UInt64
    var nextRemote: UInt64
    /// Waiting and done ones.
    var recipients: [PackedRecipients.Routed] = []
    /// Files of channels say "done" for delivered and failed alike, and go when all of theirs are done: who failed is known from the texts alone. The
    /// addresses have no prepends any more.
    var failures: [BounceFile.Paragraph] = []
    /// What was not as it should be, and did no harm.
    var notes: [String] = []

    /// Why a message cannot be imported: a file of it, and what is wrong.
    struct Damage: Error {
        let text: String
        init(_ text: String) { self.text = text }
        init(_ error: SystemError) { text = "\(error)" }
    }

    private init(_ sender: [UInt8], file: String, content: borrowing SourceFile, birth: Int64) throws(Damage) {
        if let address = Address(sender) {
            self.sender = address
        } else {
            self.sender = Address(Self.cleaned(sender)) ?? .null
            notes.append("\(file): its sender holds a line break or is too long for an address: it goes out from \(logsafe(self.sender.bytes))")
        }
        self.birth = UInt64(max(0, birth))
        (nextLocal, nextRemote) = (self.birth, self.birth)
        let line = ReceivedLine(content: try read(content, limit: Self.lineBytes))
        qp = line?.pid ?? 0
        uid = line?.uid ?? content.uid
    }

    private static let lineBytes = 256

    // MARK: S4

    /// - Parameter route: where a recipient goes now; nil when what it becomes is too long for an address.
    init(queued id: UInt64, in queue: SourceQueue, _ content: borrowing SourceFile, route: (Address) -> PackedRecipients.Route?) throws(Damage) {
        let name = queue.name(.todo, id)
        let bytes = try queue.read(.todo, id).bytes
        let todo = try named(name) { () throws(QueueFileDamage) in try TodoFile(bytes) }
        try self.init(todo.sender, file: name, content: content, birth: content.seconds)
        qp = todo.pid ?? qp
        uid = todo.uid ?? uid
        for recipient in todo.recipients {
            guard let address = Address(recipient) else {
                addUndeliverable(recipient)
                continue
            }
            if let route = route(address) {
                recipients.append(PackedRecipients.Routed(route))
            } else {
                failures.append(BounceFile.Paragraph(recipient: recipient, text: Array(AddressRewriting.tooLongText.utf8)))
            }
        }
    }

    // MARK: S5

    init(preprocessed id: UInt64, in queue: SourceQueue, _ content: borrowing SourceFile) throws(Damage) {
        let name = queue.name(.info, id)
        let (bytes, birth) = try queue.read(.info, id)
        let info = try named(name) { () throws(QueueFileDamage) in try InfoFile(bytes) }
        try self.init(info.sender, file: name, content: content, birth: birth)
        if let due = try addRecipients(.local, .local, id, queue) { nextLocal = due }
        if let due = try addRecipients(.remote, .remote, id, queue) { nextRemote = due }
        if queue.has(.bounce, id) { addFailures(BounceFile(try queue.read(.bounce, id).bytes), queue.name(.bounce, id)) }
    }

    /// - Returns: when the channel is due; nil when it has no file: then it is done.
    private mutating func addRecipients(_ kind: SourceQueue.Kind, _ channel: Channel, _ id: UInt64, _ queue: SourceQueue) throws(Damage) -> UInt64? {
        guard queue.has(kind, id) else { return nil }
        let (bytes, due) = try queue.read(kind, id)
        let file = try named(queue.name(kind, id)) { () throws(QueueFileDamage) in try ChannelFile(bytes) }
        for recipient in file.recipients {
            if recipient.isDone {
                recipients.append(PackedRecipients.Routed(address: Self.cleaned(recipient.address), channel: channel, state: .delivered))
            } else if Address(recipient.address) == nil {
                addUndeliverable(recipient.address)
            } else {
                recipients.append(PackedRecipients.Routed(address: recipient.address, channel: channel))
            }
        }
        return UInt64(max(0, due))
    }

    private mutating func addFailures(_ bounce: BounceFile, _ name: String) {
        failures += bounce.paragraphs.map { BounceFile.Paragraph(recipient: Self.cleaned($0.recipient), text: $0.text) }
        if !bounce.strayText.isEmpty { notes.append("\(name): \(bounce.strayText.count) bytes at its front name no recipient: left out") }
        if bounce.paragraphs.isEmpty { notes.append("\(name): names no recipient: who failed is not known, and there will be no bounce for it") }
    }

    /// qmail takes any byte but NUL into an address; no mail can be sent to some of them.
    private mutating func addUndeliverable(_ address: [UInt8]) {
        let text = Array("Sorry, this address holds a line break or is too long. (#5.1.3)\n".utf8)
        failures.append(BounceFile.Paragraph(recipient: Self.cleaned(address), text: text))
    }

    private static func cleaned(_ address: [UInt8]) -> [UInt8] {
        address.prefix(Address.maxBytes).map { $0 == ASCII.lf || $0 == ASCII.cr || $0 == ASCII.nul ? ASCII.underscore : $0 }
    }
}

private func named<Value>(_ file: String, _ body: () throws(QueueFileDamage) -> Value) throws(SourceMessage.Damage) -> Value {
    do throws(QueueFileDamage) { return try body() } catch { throw SourceMessage.Damage("\(file): \(error)") }
}

private func read(_ content: borrowing SourceFile, limit: Int) throws(SourceMessage.Damage) -> [UInt8] {
    do throws(SystemError) { return try content.read(min(limit, content.size), at: 0) } catch { throw SourceMessage.Damage(error) }
}

extension SourceQueue {
    /// Addresses of millions of recipients.
    private static let maxEnvelopeBytes = 1 << 30

    /// A file that is no content, with the seconds of its last modification.
    fileprivate func read(_ kind: Kind, _ id: UInt64) throws(SourceMessage.Damage) -> (bytes: [UInt8], modified: Int64) {
        do throws(SystemError) {
            let file = try SourceFile(path(kind, id))
            guard file.size <= Self.maxEnvelopeBytes else { throw SystemError(call: "read", subject: file.path, errno: 27) }
            return (try file.all(), file.seconds)
        } catch {
            throw SourceMessage.Damage(error)
        }
    }
}
