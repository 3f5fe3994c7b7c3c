package import Addresses
private import Bytes
package import Frames
private import Injection

/// Reads qmail-queue's envelope as it comes: `F` sender NUL, `T` recipient NUL any number of times, NUL (spec-qmail §3.1).
package struct EnvelopeReader {
    package private(set) var sender = Address.null
    package private(set) var isComplete = false
    private var hasSender = false
    /// A record that has begun, its letter included.
    private var record: [UInt8] = []

    package init() {}

    /// What follows the end of the envelope is not looked at.
    package mutating func take(_ bytes: ArraySlice<UInt8>, _ onRecipient: (Address) throws(QueueRefusal) -> Void) throws(QueueRefusal) {
        var left = bytes
        while !isComplete, !left.isEmpty {
            let end = left.firstIndex(of: ASCII.nul)
            record.append(contentsOf: left[..<(end ?? left.endIndex)])
            try checkRecord()
            guard let end else { return }
            left = left[(end + 1)...]
            try finishRecord(onRecipient)
        }
    }

    /// Refuses a record as soon as it is known to be wrong, however long it may become.
    private func checkRecord() throws(QueueRefusal) {
        guard let letter = record.first else { return }
        guard letter == UInt8(ascii: hasSender ? "T" : "F") else { throw .badEnvelope }
        guard record.count - 1 <= Address.maxBytes else { throw .addressTooLong }
    }

    private mutating func finishRecord(_ onRecipient: (Address) throws(QueueRefusal) -> Void) throws(QueueRefusal) {
        if record.isEmpty {
            guard hasSender else { throw .badEnvelope }
            isComplete = true
            return
        }
        let address = try Injection.address(Array(record.dropFirst()))
        record.removeAll(keepingCapacity: true)
        if hasSender {
            try onRecipient(address)
        } else {
            sender = address
            hasSender = true
        }
    }
}
