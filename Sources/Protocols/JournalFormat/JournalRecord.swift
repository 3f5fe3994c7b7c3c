package import Addresses
package import Bytes

/// Where the bytes of a message are.
package enum ContentReference: Equatable, Sendable {
    /// In the segment, `offset` bytes from its start. `check` is CRC-32C seeded with the segment's salt.
    case inline(segment: UInt64, offset: UInt32, length: UInt32, check: UInt32)
    /// In `queue/content/`, named by the message id. `check` is plain CRC-32C.
    case file(length: UInt64, check: UInt32)

    package var length: Int {
        switch self {
        case .inline(_, _, let length, _): Int(length)
        case .file(let length, _): Int(clamping: length)
        }
    }
}

/// A message as the journal keeps it: when it is accepted, and again when it is carried to the head of the log with what happened meanwhile.
package struct MessageRecord: Equatable, Sendable {
    /// 63 bits, never used twice.
    package var id: UInt64
    /// Seconds since 1970.
    package var birth: UInt64
    /// The number of the Received line.
    package var qp: UInt64
    /// Who gave it to the queue.
    package var uid: UInt32
    package var sender: [UInt8]
    package var recipients: PackedRecipients
    /// When each channel is to be tried next, seconds since 1970.
    package var nextLocal: UInt64
    package var nextRemote: UInt64
    /// Texts of failed recipients, for the bounce: ``FailureTexts``.
    package var failures: FailureTexts
    package var content: ContentReference
    /// An administrator stopped its deliveries.
    package var isHeld = false

    package init(
        id: UInt64, birth: UInt64, qp: UInt64, uid: UInt32, sender: [UInt8], recipients: PackedRecipients, nextLocal: UInt64,
        nextRemote: UInt64, failures: FailureTexts, content: ContentReference
    ) {
        self.id = id
        self.birth = birth
        self.qp = qp
        self.uid = uid
        self.sender = sender
        self.recipients = recipients
        self.nextLocal = nextLocal
        self.nextRemote = nextRemote
        self.failures = failures
        self.content = content
    }

    package func next(_ channel: Channel) -> UInt64 { channel == .local ? nextLocal : nextRemote }

    package mutating func setNext(_ channel: Channel, _ time: UInt64) {
        if channel == .local { nextLocal = time } else { nextRemote = time }
    }

    /// A recipient that has failed before anything was tried.
    package mutating func append(failed recipient: [UInt8], _ text: ArraySlice<UInt8>) {
        if !text.isEmpty { failures.append(UInt32(clamping: recipients.bytes.count), text) }
        recipients.append(recipient, channel: .remote, state: .failed)
    }

    /// What it takes in the log, roughly: the measure of live bytes.
    package var logBytes: Int {
        let content = if case .inline(_, _, let length, _) = content { Int(length) } else { 0 }
        return content + sender.count + recipients.bytes.count + failures.bytes.count + 96
    }
}

/// What failed recipients were told, one behind the other: recipient offset and counted text. A failed recipient may be missing here: its report was
/// empty, or the message had more texts than are kept.
package struct FailureTexts: Equatable, Sendable {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package init?(bytes: [UInt8]) {
        self.bytes = bytes
        var reader = ByteReader(bytes)
        while !reader.isAtEnd { guard reader.number(UInt32.self) != nil, reader.counted() != nil else { return nil } }
    }

    package var isEmpty: Bool { bytes.isEmpty }

    package mutating func append(_ recipient: UInt32, _ text: ArraySlice<UInt8>) {
        bytes.append(number: recipient)
        bytes.append(counted: text)
    }

    package func visit(_ body: (_ recipient: UInt32, _ text: ArraySlice<UInt8>) -> Void) {
        var reader = ByteReader(bytes)
        while let recipient = reader.number(UInt32.self), let text = reader.counted() { body(recipient, text) }
    }
}

/// One fact in the log.
///
/// Module `JournalFormat` is the bytes on disk as values (docs/queue.md); it must not know files or the order of writes. What was not written under
/// a segment's salt is never taken for a batch of it.
package enum JournalRecord: Equatable, Sendable {
    /// A new message.
    case accept(MessageRecord)
    /// A message written again at the head; it supersedes all earlier records of its id.
    case carry(MessageRecord)
    /// A recipient ended. `text` is kept for failures only.
    case outcome(id: UInt64, recipient: UInt32, PackedRecipients.State, text: ArraySlice<UInt8>)
    /// A pass of a channel ended with recipients left over.
    case retry(id: UInt64, Channel, next: UInt64)
    /// The message left the queue; its bounce is message `bounce`, 0 when there is none.
    case finish(id: UInt64, bounce: UInt64)
    /// No delivery of the message begins until it is released.
    case hold(id: UInt64)
    case release(id: UInt64)
    /// A pending recipient goes on as another one.
    case reroute(id: UInt64, recipient: UInt32, PackedRecipients.Route)
    /// Batches `from` … `through` of `segment` never happened.
    case void(segment: UInt64, from: UInt64, through: UInt64)

    private enum Kind: UInt8 {
        case accept = 1
        case carry
        case outcome
        case retry
        case finish
        case void
        case hold
        case release
        case reroute
    }

    package func encode(into output: inout [UInt8]) {
        switch self {
        case .accept(let message):
            output.append(Kind.accept.rawValue)
            message.encode(into: &output)
        case .carry(let message):
            output.append(Kind.carry.rawValue)
            message.encode(into: &output)
        case .outcome(let id, let recipient, let state, let text):
            output.append(Kind.outcome.rawValue)
            output.append(number: id)
            output.append(number: recipient)
            output.append(state.rawValue)
            output.append(counted: text)
        case .retry(let id, let channel, let next):
            output.append(Kind.retry.rawValue)
            output.append(number: id)
            output.append(channel.rawValue)
            output.append(number: next)
        case .finish(let id, let bounce):
            output.append(Kind.finish.rawValue)
            output.append(number: id)
            output.append(number: bounce)
        case .hold(let id): encode(.hold, id, into: &output)
        case .release(let id): encode(.release, id, into: &output)
        case .reroute(let id, let recipient, let route):
            encode(.reroute, id, into: &output)
            output.append(number: recipient)
            output.append(route.channel.rawValue)
            output.append(counted: route.address)
            output.append(counted: route.note)
        case .void(let segment, let from, let through):
            output.append(Kind.void.rawValue)
            output.append(number: segment)
            output.append(number: from)
            output.append(number: through)
        }
    }

    private func encode(_ kind: Kind, _ id: UInt64, into output: inout [UInt8]) {
        output.append(kind.rawValue)
        output.append(number: id)
    }

    /// The next record; nil when the bytes are no record.
    package init?(_ reader: inout ByteReader) {
        guard let code = reader.byte(), let kind = Kind(rawValue: code), let number = reader.number(UInt64.self) else { return nil }
        switch kind {
        case .accept, .carry:
            guard let message = MessageRecord(id: number, &reader) else { return nil }
            self = kind == .accept ? .accept(message) : .carry(message)
        case .outcome:
            guard let recipient = reader.number(UInt32.self), let code = reader.byte(), let state = PackedRecipients.State(rawValue: code),
                let text = reader.counted()
            else { return nil }
            self = .outcome(id: number, recipient: recipient, state, text: text)
        case .retry:
            guard let code = reader.byte(), let channel = Channel(rawValue: code), let next = reader.number(UInt64.self) else { return nil }
            self = .retry(id: number, channel, next: next)
        case .finish:
            guard let bounce = reader.number(UInt64.self) else { return nil }
            self = .finish(id: number, bounce: bounce)
        case .void:
            guard let from = reader.number(UInt64.self), let through = reader.number(UInt64.self) else { return nil }
            self = .void(segment: number, from: from, through: through)
        case .hold: self = .hold(id: number)
        case .release: self = .release(id: number)
        case .reroute:
            guard let recipient = reader.number(UInt32.self), let code = reader.byte(), let channel = Channel(rawValue: code),
                let address = reader.counted(), let note = reader.counted()
            else { return nil }
            let route = PackedRecipients.Route(address: Array(address), channel: channel, note: Array(note))
            self = .reroute(id: number, recipient: recipient, route)
        }
    }
}

extension MessageRecord {
    /// From the first byte of its record to the check of an inline content: known only when the batch is written.
    package static let inlineCheckOffset = 1 + 8 + 8 + 8 + 4 + 8 + 8 + 1 + 8 + 4 + 4

    fileprivate func encode(into output: inout [UInt8]) {
        output.append(number: id)
        output.append(number: birth)
        output.append(number: qp)
        output.append(number: uid)
        output.append(number: nextLocal)
        output.append(number: nextRemote)
        // What is behind the next times: bit 0 a content file, bit 1 held.
        let held: UInt8 = isHeld ? 2 : 0
        switch content {
        case .inline(let segment, let offset, let length, let check):
            output.append(held)
            output.append(number: segment)
            output.append(number: offset)
            output.append(number: length)
            output.append(number: check)
        case .file(let length, let check):
            output.append(held | 1)
            output.append(number: length)
            output.append(number: check)
        }
        output.append(counted: sender)
        output.append(longCounted: recipients.bytes)
        output.append(longCounted: failures.bytes)
    }

    fileprivate init?(id: UInt64, _ reader: inout ByteReader) {
        guard let birth = reader.number(UInt64.self), let qp = reader.number(UInt64.self), let uid = reader.number(UInt32.self),
            let nextLocal = reader.number(UInt64.self), let nextRemote = reader.number(UInt64.self), let flags = reader.byte(), flags < 4
        else { return nil }
        let content: ContentReference
        if flags & 1 == 0 {
            guard let segment = reader.number(UInt64.self), let offset = reader.number(UInt32.self), let length = reader.number(UInt32.self),
                let check = reader.number(UInt32.self)
            else { return nil }
            content = .inline(segment: segment, offset: offset, length: length, check: check)
        } else {
            guard let length = reader.number(UInt64.self), let check = reader.number(UInt32.self) else { return nil }
            content = .file(length: length, check: check)
        }
        guard let sender = reader.counted(), let packed = reader.longCounted(), let recipients = PackedRecipients(bytes: Array(packed)),
            let texts = reader.longCounted(), let failures = FailureTexts(bytes: Array(texts))
        else { return nil }
        self.init(
            id: id, birth: birth, qp: qp, uid: uid, sender: Array(sender), recipients: recipients, nextLocal: nextLocal,
            nextRemote: nextRemote, failures: failures, content: content)
        isHeld = flags & 2 != 0
    }
}
