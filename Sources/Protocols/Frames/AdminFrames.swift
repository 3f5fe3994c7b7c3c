package import Addresses
private import Bytes

/// `run/admin`, stream: administrators ask the queue what it holds. Requests on one connection are answered one after the other, each up to its
/// `end`.
package enum Admin {
    package enum Request: UInt8, Sendable {
        /// Every message: a `message` each, behind it its recipients in any number of `recipients`, then `end`.
        case list = 1
        /// One `counts`, then `end`.
        case counts = 2

        package static let maxLength = 16

        package init(_ frame: Frame) throws(FrameError) {
            guard let request = Request(rawValue: frame.type) else { throw .unknownType(frame.type) }
            guard frame.payload.isEmpty else { throw .malformed(frame.type) }
            self = request
        }

        package func encode(into output: inout [UInt8]) { output.append(frame: rawValue) { _ in } }
    }

    /// A message in the queue, without recipients.
    package struct Message: Equatable, Sendable {
        package var id: UInt64
        /// When it was accepted, seconds since 1970.
        package var birth: UInt64
        /// Bytes of content, the queue's Received line included.
        package var size: UInt64
        package var sender: Address
        /// Whether a recipient has failed, so that a bounce will follow.
        package var isBouncing: Bool

        package init(id: UInt64, birth: UInt64, size: UInt64, sender: Address, isBouncing: Bool) {
            self.id = id
            self.birth = birth
            self.size = size
            self.sender = sender
            self.isBouncing = isBouncing
        }
    }

    package struct Recipient: Equatable, Sendable {
        package var channel: Channel
        /// Delivered or failed: nothing more is tried.
        package var isDone: Bool
        /// As the queue keeps it, with the prepend of a virtual domain.
        package var address: Address

        package init(channel: Channel, isDone: Bool, address: Address) {
            self.channel = channel
            self.isDone = isDone
            self.address = address
        }

        fileprivate init?(from reader: inout ByteReader) {
            guard let flags = reader.byte(), flags < 4, let channel = Channel(rawValue: flags & 1), let address = reader.address() else { return nil }
            self.init(channel: channel, isDone: flags & 2 != 0, address: address)
        }

        fileprivate func encode(into output: inout [UInt8]) {
            output.append(channel.rawValue | (isDone ? 2 : 0))
            output.append(counted: address.bytes)
        }
    }

    package struct Counts: Equatable, Sendable {
        package var messages: UInt64
        /// 0 with a queue that knows each message's channels as soon as it accepts it.
        package var notPreprocessed: UInt64
        /// Recipients that are not done.
        package var waitingLocal: UInt64
        package var waitingRemote: UInt64

        package init(messages: UInt64, notPreprocessed: UInt64 = 0, waitingLocal: UInt64, waitingRemote: UInt64) {
            self.messages = messages
            self.notPreprocessed = notPreprocessed
            self.waitingLocal = waitingLocal
            self.waitingRemote = waitingRemote
        }
    }

    package enum Answer: Equatable, Sendable {
        case message(Message)
        /// Of the last `message`.
        case recipients([Recipient])
        case counts(Counts)
        case end

        package static let maxLength = 1 << 17
        /// A frame of recipients is sent when it holds this much: with one more address it stays below ``maxLength``.
        package static let recipientBytesPerFrame = 1 << 16
    }
}

extension Admin.Answer {
    package init(_ frame: Frame) throws(FrameError) {
        var reader = ByteReader(frame.payload)
        switch frame.type {
        case 65:
            guard let id = reader.number(UInt64.self), let birth = reader.number(UInt64.self), let size = reader.number(UInt64.self),
                let bouncing = reader.byte(), bouncing < 2, let sender = reader.address(), reader.isAtEnd
            else { throw .malformed(65) }
            self = .message(Admin.Message(id: id, birth: birth, size: size, sender: sender, isBouncing: bouncing == 1))
        case 66:
            var recipients: [Admin.Recipient] = []
            while !reader.isAtEnd {
                guard let recipient = Admin.Recipient(from: &reader) else { throw .malformed(66) }
                recipients.append(recipient)
            }
            self = .recipients(recipients)
        case 67:
            guard let messages = reader.number(UInt64.self), let raw = reader.number(UInt64.self), let local = reader.number(UInt64.self),
                let remote = reader.number(UInt64.self), reader.isAtEnd
            else { throw .malformed(67) }
            self = .counts(Admin.Counts(messages: messages, notPreprocessed: raw, waitingLocal: local, waitingRemote: remote))
        case 68:
            guard reader.isAtEnd else { throw .malformed(68) }
            self = .end
        default: throw .unknownType(frame.type)
        }
    }

    /// Recipients take as many frames as they need; none make no frame.
    package func encode(into output: inout [UInt8]) {
        switch self {
        case .message(let message):
            output.append(frame: 65) {
                for number in [message.id, message.birth, message.size] { $0.append(number: number) }
                $0.append(message.isBouncing ? 1 : 0)
                $0.append(counted: message.sender.bytes)
            }
        case .recipients(let recipients):
            var left = recipients[...]
            while !left.isEmpty { output.append(frame: 66) { Self.fill(&$0, from: &left) } }
        case .counts(let counts):
            output.append(frame: 67) {
                for number in [counts.messages, counts.notPreprocessed, counts.waitingLocal, counts.waitingRemote] { $0.append(number: number) }
            }
        case .end: output.append(frame: 68) { _ in }
        }
    }

    private static func fill(_ output: inout [UInt8], from recipients: inout ArraySlice<Admin.Recipient>) {
        let start = output.count
        while output.count - start < recipientBytesPerFrame, let recipient = recipients.popFirst() { recipient.encode(into: &output) }
    }
}
