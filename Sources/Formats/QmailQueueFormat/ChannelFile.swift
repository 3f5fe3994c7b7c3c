private import Bytes

/// `local/S/ID` or `remote/S/ID`: the recipients of one channel, `TRECIPIENT\0` while they wait and `DRECIPIENT\0` when they are done, delivered or
/// failed (qmail §4.1). When the channel is due is the file's time of modification.
package struct ChannelFile: Equatable, Sendable {
    package struct Recipient: Equatable, Sendable {
        package let isDone: Bool
        /// As routed: with its host, behind the prepend of a virtual domain.
        package let address: [UInt8]

        package init(isDone: Bool, address: [UInt8]) {
            self.isDone = isDone
            self.address = address
        }
    }

    package let recipients: [Recipient]

    package init(_ bytes: [UInt8]) throws(QueueFileDamage) {
        var recipients: [Recipient] = []
        for record in try QueueFileRecord.all(bytes) {
            switch record.letter {
            case UInt8(ascii: "T"): recipients.append(Recipient(isDone: false, address: Array(record.text)))
            case UInt8(ascii: "D"): recipients.append(Recipient(isDone: true, address: Array(record.text)))
            default: throw record.unknown
            }
        }
        self.recipients = recipients
    }
}
