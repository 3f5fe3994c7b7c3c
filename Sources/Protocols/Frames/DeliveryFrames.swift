package import Addresses
private import Bytes

/// How one delivery to one recipient ended: qmail's report letter and text (spec-qmail §2.3).
package struct DeliveryReport: Equatable, Sendable {
    package enum Outcome: UInt8, Sendable {
        case delivered = 0x4B  // K
        case deferred = 0x5A  // Z
        case failed = 0x44  // D
    }

    package var outcome: Outcome
    /// Shown in the log and, for failures, in the bounce; LF between lines.
    package var text: ArraySlice<UInt8>

    /// spec-qmail §1.4: what follows is dropped.
    package static let maxTextBytes = 10_000

    package init(_ outcome: Outcome, _ text: some Collection<UInt8>) {
        self.outcome = outcome
        self.text = Array(text.prefix(DeliveryReport.maxTextBytes))[...]
    }

    package init(_ outcome: Outcome, _ text: String) { self.init(outcome, text.utf8) }
}

/// `run/deliver-local` and `run/deliver-remote`, SEQPACKET: the queue hands out deliveries, each with a read-only descriptor of the message.
package enum Delivery {
    /// From the queue. A local delivery has one recipient, as rewritten (with the virtualdomains prepend); a remote one has all that go to one host in one transaction.
    package struct Request: Equatable, Sendable {
        /// Names this delivery until its answer; the queue chooses it.
        package var slot: UInt32
        /// The domain to deliver to; empty for local deliveries.
        package var host: ArraySlice<UInt8>
        /// `host` or `host:port` that takes the mail instead, as in `control/smtproutes`; empty: what that file and DNS say.
        package var relay: ArraySlice<UInt8>
        /// After VERP expansion.
        package var sender: Address
        package var recipients: [Address]

        package init(slot: UInt32, host: ArraySlice<UInt8>, relay: ArraySlice<UInt8> = [], sender: Address, recipients: [Address]) {
            self.slot = slot
            self.host = host
            self.relay = relay
            self.sender = sender
            self.recipients = recipients
        }

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            guard frame.type == Self.plain || frame.type == Self.relayed else { throw .unknownType(frame.type) }
            guard let slot = reader.number(UInt32.self), let host = reader.counted(),
                let relay = frame.type == Self.relayed ? reader.counted() : [], let sender = reader.address()
            else { throw .malformed(frame.type) }
            var recipients: [Address] = []
            while !reader.isAtEnd {
                guard let recipient = reader.address() else { throw .malformed(frame.type) }
                recipients.append(recipient)
            }
            guard !recipients.isEmpty else { throw .malformed(frame.type) }
            self.init(slot: slot, host: host, relay: relay, sender: sender, recipients: recipients)
        }

        private static let plain: UInt8 = 1
        /// Behind the host stands a relay.
        private static let relayed: UInt8 = 2

        /// As a packet.
        package func encode() -> [UInt8] {
            var packet: [UInt8] = [relay.isEmpty ? Self.plain : Self.relayed]
            packet.append(number: slot)
            packet.append(counted: host)
            if !relay.isEmpty { packet.append(counted: relay) }
            packet.append(counted: sender.bytes)
            for recipient in recipients { packet.append(counted: recipient.bytes) }
            return packet
        }
    }

    /// To the queue.
    package enum Answer: Equatable, Sendable {
        /// The first packet: how many deliveries this peer takes at a time.
        case ready(capacity: UInt32)
        /// One report for each recipient of the request, in its order. Ends the slot.
        case reports(slot: UInt32, [DeliveryReport])

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            guard let number = reader.number(UInt32.self) else { throw .malformed(frame.type) }
            switch frame.type {
            case 65:
                guard reader.isAtEnd else { throw .malformed(65) }
                self = .ready(capacity: number)
            case 66:
                var reports: [DeliveryReport] = []
                while !reader.isAtEnd {
                    guard let letter = reader.byte(), let outcome = DeliveryReport.Outcome(rawValue: letter), let text = reader.counted()
                    else { throw .malformed(66) }
                    reports.append(DeliveryReport(outcome, text))
                }
                self = .reports(slot: number, reports)
            default: throw .unknownType(frame.type)
            }
        }

        package func encode() -> [UInt8] {
            var packet: [UInt8] = []
            switch self {
            case .ready(let capacity):
                packet.append(65)
                packet.append(number: capacity)
            case .reports(let slot, let reports):
                packet.append(66)
                packet.append(number: slot)
                for report in reports {
                    packet.append(report.outcome.rawValue)
                    packet.append(counted: report.text)
                }
            }
            return packet
        }
    }

    /// Recipients in one remote delivery: RFC 5321 §4.5.3.1.8 has every server take 100.
    package static let maxRecipients = 100
    /// Bytes of all recipients in one delivery, and of all texts in its answer divided by recipients: a packet must fit a socket buffer.
    package static let maxPacketBytes = 128 * 1024
}
