private import Bytes

/// Why a file of qmail's queue is not what qmail wrote.
///
/// Module `QmailQueueFormat` is qmail's queue files as values (qmail §4.1, §8.3): bytes in, values out. It must not know folders or what a message's
/// files mean together.
package enum QueueFileDamage: Error, Equatable, CustomStringConvertible {
    /// It ends within a record, or before one that must be there.
    case incomplete
    /// A record that does not belong here begins at this offset.
    case unknownRecord(letter: UInt8, offset: Int)

    package var description: String {
        switch self {
        case .incomplete: "ends too early"
        case .unknownRecord(let letter, let offset):
            letter.isGraphic ? "unknown record type \([letter].text) at byte \(offset)" : "unknown record type \\\(letter) at byte \(offset)"
        }
    }
}

/// One record: a letter, its text, NUL.
struct QueueFileRecord {
    let letter: UInt8
    let text: ArraySlice<UInt8>
    let offset: Int

    var unknown: QueueFileDamage { .unknownRecord(letter: letter, offset: offset) }

    /// All records of a file.
    static func all(_ bytes: [UInt8]) throws(QueueFileDamage) -> [QueueFileRecord] {
        var records: [QueueFileRecord] = []
        var start = 0
        while start < bytes.count {
            guard let end = bytes[start...].firstIndex(of: ASCII.nul) else { throw .incomplete }
            let record = QueueFileRecord(letter: bytes[start], text: bytes[min(start + 1, end)..<end], offset: start)
            records.append(record)
            start = end + 1
        }
        return records
    }
}
