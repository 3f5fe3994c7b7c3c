package import Addresses
private import Bytes

extension Admin {
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
        package var isHeld: Bool
        /// When the channels are due, seconds since 1970.
        package var nextLocal: UInt64
        package var nextRemote: UInt64

        package init(
            id: UInt64, birth: UInt64, size: UInt64, sender: Address, isBouncing: Bool, isHeld: Bool = false, nextLocal: UInt64 = 0,
            nextRemote: UInt64 = 0
        ) {
            self.id = id
            self.birth = birth
            self.size = size
            self.sender = sender
            self.isBouncing = isBouncing
            self.isHeld = isHeld
            self.nextLocal = nextLocal
            self.nextRemote = nextRemote
        }

        package func next(_ channel: Channel) -> UInt64 { channel == .local ? nextLocal : nextRemote }
    }

    package struct Recipient: Equatable, Sendable {
        package enum State: UInt8, Sendable {
            case waiting = 0
            case underWay
            case delivered
            case failed
            case removed
        }

        package var channel: Channel
        package var state: State
        /// As the queue keeps it, with the prepend of a virtual domain.
        package var address: Address
        /// What takes the mail instead of the domain's exchangers; empty: as the control files say.
        package var relay: [UInt8]

        package init(channel: Channel, state: State, address: Address, relay: [UInt8] = []) {
            self.channel = channel
            self.state = state
            self.address = address
            self.relay = relay
        }

        /// Nothing more is tried.
        package var isDone: Bool { state != .waiting && state != .underWay }

        fileprivate init?(from reader: inout ByteReader) {
            guard let flags = reader.byte(), let channel = Channel(rawValue: flags & 1), let state = State(rawValue: flags >> 1),
                let address = reader.address(), let relay = reader.counted()
            else { return nil }
            self.init(channel: channel, state: state, address: address, relay: Array(relay))
        }

        fileprivate func encode(into output: inout [UInt8]) {
            output.append(channel.rawValue | state.rawValue << 1)
            output.append(counted: address.bytes)
            output.append(counted: relay)
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

    /// How far an action has come.
    package struct Progress: Equatable, Sendable {
        /// Messages looked at, of so many.
        package var seen: UInt64 = 0
        package var total: UInt64 = 0
        /// Messages, and recipients, that the action was for.
        package var messages: UInt64 = 0
        package var recipients: UInt64 = 0
        /// Recipients that were being delivered to: expired and removed ones end when that does, rerouted ones stay.
        package var underWay: UInt64 = 0

        package init() {}

        package init(seen: UInt64, total: UInt64, messages: UInt64, recipients: UInt64, underWay: UInt64) {
            self.seen = seen
            self.total = total
            self.messages = messages
            self.recipients = recipients
            self.underWay = underWay
        }

        fileprivate var numbers: [UInt64] { [seen, total, messages, recipients, underWay] }
    }

    package enum Answer: Equatable, Sendable {
        case message(Message)
        /// Of the last `message`.
        case recipients([Recipient])
        case counts(Counts)
        case end
        case progress(Progress)
        /// No such message is in the queue.
        case missing(UInt64)
        /// What the last attempt, or the failure, said of a recipient: the first that was sent is 0.
        case text(recipient: UInt64, [UInt8])
        /// A piece of the content, in order.
        case content([UInt8])
        /// It was not done, and why.
        case refused([UInt8])

        package static let maxLength = 1 << 17
        /// A frame of recipients is sent when it holds this much: with one more address it stays below ``maxLength``.
        package static let recipientBytesPerFrame = 1 << 16
        package static let contentBytesPerFrame = 1 << 16
    }
}

extension Admin.Answer {
    package init(_ frame: Frame) throws(FrameError) {
        var reader = ByteReader(frame.payload)
        switch frame.type {
        case 65:
            guard let id = reader.number(UInt64.self), let birth = reader.number(UInt64.self), let size = reader.number(UInt64.self),
                let nextLocal = reader.number(UInt64.self), let nextRemote = reader.number(UInt64.self), let flags = reader.byte(), flags < 4,
                let sender = reader.address(), reader.isAtEnd
            else { throw .malformed(65) }
            self = .message(
                Admin.Message(
                    id: id, birth: birth, size: size, sender: sender, isBouncing: flags & 1 != 0, isHeld: flags & 2 != 0, nextLocal: nextLocal,
                    nextRemote: nextRemote))
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
        default: self = try Self.ofAction(frame)
        }
    }

    private static func ofAction(_ frame: Frame) throws(FrameError) -> Admin.Answer {
        var reader = ByteReader(frame.payload)
        switch frame.type {
        case 69:
            guard let seen = reader.number(UInt64.self), let total = reader.number(UInt64.self), let messages = reader.number(UInt64.self),
                let recipients = reader.number(UInt64.self), let underWay = reader.number(UInt64.self), reader.isAtEnd
            else { throw .malformed(69) }
            return .progress(Admin.Progress(seen: seen, total: total, messages: messages, recipients: recipients, underWay: underWay))
        case 70:
            guard let id = reader.number(UInt64.self), reader.isAtEnd else { throw .malformed(70) }
            return .missing(id)
        case 71:
            guard let recipient = reader.number(UInt64.self), let text = reader.counted(), reader.isAtEnd else { throw .malformed(71) }
            return .text(recipient: recipient, Array(text))
        case 72: return .content(Array(frame.payload))
        case 73: return .refused(Array(frame.payload))
        default: throw .unknownType(frame.type)
        }
    }

    /// Recipients take as many frames as they need; none make no frame.
    package func encode(into output: inout [UInt8]) {
        switch self {
        case .message(let message):
            output.append(frame: 65) {
                for number in [message.id, message.birth, message.size, message.nextLocal, message.nextRemote] { $0.append(number: number) }
                $0.append((message.isBouncing ? 1 : 0) | (message.isHeld ? 2 : 0))
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
        case .progress(let progress): output.append(frame: 69) { for number in progress.numbers { $0.append(number: number) } }
        case .missing(let id): output.append(frame: 70) { $0.append(number: id) }
        case .text(let recipient, let text):
            output.append(frame: 71) {
                $0.append(number: recipient)
                $0.append(counted: text)
            }
        case .content(let bytes): output.append(frame: 72) { $0 += bytes }
        case .refused(let why): output.append(frame: 73) { $0 += why }
        }
    }

    private static func fill(_ output: inout [UInt8], from recipients: inout ArraySlice<Admin.Recipient>) {
        let start = output.count
        while output.count - start < recipientBytesPerFrame, let recipient = recipients.popFirst() { recipient.encode(into: &output) }
    }
}
