package import Addresses
package import Bytes

/// `run/inject`, client to queue: a stream socket on which any number of messages may be under way, each under a stream number the client chose.
///
/// A message is any number of `content` and `recipients` in any order, then `commit`; the queue answers each commit once, in any order.
/// Nothing of a message is kept without its `commit`.
package enum InjectRequest: Equatable, Sendable {
    /// This connection carries mail from the network. Believed from the account of smtpd only; decides the Received line (spec-qmail §3.1).
    case fromNetwork
    case content(stream: UInt32, bytes: ArraySlice<UInt8>)
    case recipients(stream: UInt32, [Address])
    case commit(stream: UInt32, sender: Address)
    case abort(stream: UInt32)

    /// The largest frame: content and recipients beyond it go in several.
    package static let maxLength = 1 << 18
    /// Content bytes that clients put into one frame.
    package static let contentBytesPerFrame = 1 << 16

    package init(_ frame: Frame) throws(FrameError) {
        var reader = ByteReader(frame.payload)
        if frame.type == 1 {
            guard reader.isAtEnd else { throw .malformed(1) }
            self = .fromNetwork
            return
        }
        guard let stream = reader.number(UInt32.self) else { throw .malformed(frame.type) }
        switch frame.type {
        case 2:
            self = .content(stream: stream, bytes: reader.remainder())
        case 3:
            var recipients: [Address] = []
            while !reader.isAtEnd {
                guard let recipient = reader.address() else { throw .malformed(3) }
                recipients.append(recipient)
            }
            self = .recipients(stream: stream, recipients)
        case 4:
            guard let sender = reader.address(), reader.isAtEnd else { throw .malformed(4) }
            self = .commit(stream: stream, sender: sender)
        case 5:
            guard reader.isAtEnd else { throw .malformed(5) }
            self = .abort(stream: stream)
        default: throw .unknownType(frame.type)
        }
    }

    package func encode(into output: inout [UInt8]) {
        switch self {
        case .fromNetwork: output.append(frame: 1) { _ in }
        case .content(let stream, let bytes):
            output.append(frame: 2) {
                $0.append(number: stream)
                $0.append(contentsOf: bytes)
            }
        case .recipients(let stream, let recipients):
            output.append(frame: 3) {
                $0.append(number: stream)
                for recipient in recipients { $0.append(counted: recipient.bytes) }
            }
        case .commit(let stream, let sender):
            output.append(frame: 4) {
                $0.append(number: stream)
                $0.append(counted: sender.bytes)
            }
        case .abort(let stream): output.append(frame: 5) { $0.append(number: stream) }
        }
    }
}

/// `run/inject`, queue to client.
package enum InjectAnswer: Equatable, Sendable {
    /// Durable. `qp` is the number of the Received line, shown in replies and logs; `time` the seconds since 1970 at acceptance.
    case accepted(stream: UInt32, id: UInt64, qp: UInt64, time: UInt64)
    case refused(stream: UInt32, QueueRefusal)

    package static let maxLength = 64

    package init(_ frame: Frame) throws(FrameError) {
        var reader = ByteReader(frame.payload)
        guard let stream = reader.number(UInt32.self) else { throw .malformed(frame.type) }
        switch frame.type {
        case 65:
            guard let id = reader.number(UInt64.self), let qp = reader.number(UInt64.self), let time = reader.number(UInt64.self), reader.isAtEnd
            else { throw .malformed(65) }
            self = .accepted(stream: stream, id: id, qp: qp, time: time)
        case 66:
            guard let code = reader.byte(), let refusal = QueueRefusal(rawValue: code), reader.isAtEnd else { throw .malformed(66) }
            self = .refused(stream: stream, refusal)
        default: throw .unknownType(frame.type)
        }
    }

    package func encode(into output: inout [UInt8]) {
        switch self {
        case .accepted(let stream, let id, let qp, let time):
            output.append(frame: 65) {
                $0.append(number: stream)
                $0.append(number: id)
                $0.append(number: qp)
                $0.append(number: time)
            }
        case .refused(let stream, let refusal):
            output.append(frame: 66) {
                $0.append(number: stream)
                $0.append(refusal.rawValue)
            }
        }
    }
}

extension ByteReader {
    /// A counted address; nil when it is cut short or holds what no address may.
    package mutating func address() -> Address? {
        let start = self
        guard let bytes = counted(), let address = Address(bytes) else {
            self = start
            return nil
        }
        return address
    }
}
