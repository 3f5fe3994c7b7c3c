package import Addresses

/// What the machines of QMTP and QMQP want done. They take a message first and only then say for whom it is.
package enum PackageAction: Equatable, Sendable {
    /// To the client.
    case send([UInt8])
    /// A message begins.
    case begin
    /// More of it, with LF line ends.
    case content(ArraySlice<UInt8>)
    /// All of it was said; answered by ``PackageServer/queueAnswered(_:)``.
    case commit(Envelope)
    /// It is not to be kept.
    case abort
    /// Close the connection once everything is sent. Nothing more comes.
    case close(PackageEnding)
}

/// Why a machine closes the connection.
package enum PackageEnding: Equatable, Sendable {
    case done
    /// What came is no such protocol.
    case protocolError
    /// More was announced than this host takes, or something could not be read.
    case trouble
}

package enum QueueAnswer: Equatable, Sendable {
    case accepted(time: UInt64, qp: UInt64)
    /// Text and class of spec-qmail §3.2.
    case refused(isPermanent: Bool, text: String)

    /// As QMTP and QMQP say it: a letter, K for yes, Z for not now, D for never; behind it a text for people (spec-qmail §15.1).
    package var response: [UInt8] {
        switch self {
        case .accepted(let time, let qp): Array("Kok \(time) qp \(qp)".utf8)
        case .refused(let isPermanent, let text): Array("\(isPermanent ? "D" : "Z")\(text)".utf8)
        }
    }
}

/// A server machine for messages in netstrings: bytes and answers in, actions out; it does no I/O and never throws.
package protocol PackageServer {
    /// - Parameter time: seconds since 1970.
    mutating func bytesReceived(_ bytes: [UInt8], time: UInt64) -> [PackageAction]
    /// Answers ``PackageAction/commit(_:)``; a refusal may come at any time after ``PackageAction/begin``, and the message is gone then.
    mutating func queueAnswered(_ answer: QueueAnswer, time: UInt64) -> [PackageAction]
    /// The connection is gone, or its time is over: what was not committed is not kept.
    mutating func clientEnded() -> [PackageAction]
    /// False while more input would only be held.
    var wantsInput: Bool { get }
}

/// How much of an envelope a client may send, beyond what the length of a netstring bounds.
package struct PackageLimits: Equatable, Sendable {
    /// Bytes of an address; the longer one is refused, not the message (spec-qmail §1.4).
    package var address = 999
    /// Recipients of one message; more close the connection.
    package var recipients = 1_000_000
    /// Bytes of all recipients of a message; more close the connection.
    package var recipientBytes: UInt64 = 64 << 20

    package init() {}
}

/// An address inside a netstring, kept no longer than it may be.
package struct AddressAccumulator: Sendable {
    private let limit: Int
    private var bytes: [UInt8] = []
    private var isTooLong = false

    package init(limit: Int) { self.limit = limit }

    package mutating func begin(length: UInt64) {
        isTooLong = length > UInt64(limit)
        bytes.removeAll(keepingCapacity: true)
    }

    package mutating func append(_ piece: ArraySlice<UInt8>) { if !isTooLong { bytes.append(contentsOf: piece) } }

    /// Nil when it is too long, or holds what no address may.
    package var address: Address? { isTooLong ? nil : Address(bytes) }
}
