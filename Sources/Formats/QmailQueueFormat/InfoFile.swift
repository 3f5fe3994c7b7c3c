private import Bytes

/// `info/S/ID`: the sender of a preprocessed message, `FSENDER\0` (qmail §4.1). When the message was born is the file's time of modification.
package struct InfoFile: Equatable, Sendable {
    package let sender: [UInt8]

    package init(_ bytes: [UInt8]) throws(QueueFileDamage) {
        let records = try QueueFileRecord.all(bytes)
        guard let first = records.first else { throw .incomplete }
        guard first.letter == UInt8(ascii: "F") else { throw first.unknown }
        if records.count > 1 { throw records[1].unknown }
        sender = Array(first.text)
    }
}
