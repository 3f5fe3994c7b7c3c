private import Bytes

/// `todo/ID`: the envelope as qmail-queue took it, `uUID\0pPID\0FSENDER\0` and `TRECIPIENT\0` for each recipient (qmail §4.1).
package struct TodoFile: Equatable, Sendable {
    /// Who ran qmail-queue; nil when the file does not say.
    package let uid: UInt32?
    /// The number of the Received line.
    package let pid: UInt64?
    /// May hold any byte but NUL.
    package let sender: [UInt8]
    package let recipients: [[UInt8]]

    package init(_ bytes: [UInt8]) throws(QueueFileDamage) {
        var (uid, pid): (UInt64?, UInt64?) = (nil, nil)
        var sender: [UInt8]?
        var recipients: [[UInt8]] = []
        for record in try QueueFileRecord.all(bytes) {
            switch (record.letter, sender) {
            case (UInt8(ascii: "u"), nil): uid = parseDecimal(record.text)
            case (UInt8(ascii: "p"), nil): pid = parseDecimal(record.text)
            case (UInt8(ascii: "F"), nil): sender = Array(record.text)
            case (UInt8(ascii: "T"), .some): recipients.append(Array(record.text))
            default: throw record.unknown
            }
        }
        guard let sender else { throw .incomplete }
        self.uid = uid.flatMap(UInt32.init(exactly:))
        self.pid = pid
        self.sender = sender
        self.recipients = recipients
    }
}
