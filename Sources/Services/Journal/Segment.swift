package import JournalFormat
package import Storage
private import Posix
private import Synchronization

/// A segment file in use.
package final class Segment: Sendable {
    package let number: UInt64
    package let salt: Salt
    /// Below `journal/`.
    let name: String
    package let file: any StorageFile
    let size: Int
    let firstSequence: UInt64

    init(name: String, file: any StorageFile, header: SegmentHeader) {
        number = header.number
        salt = header.salt
        self.name = name
        self.file = file
        size = Int(clamping: header.size)
        firstSequence = header.firstSequence
    }
}

/// The segments in use, for those who read contents from other threads while the writer goes on.
package final class SegmentTable: Sendable {
    private let segments = Mutex<[UInt64: Segment]>([:])

    init() {}

    package subscript(_ number: UInt64) -> Segment? { segments.withLock { $0[number] } }

    func insert(_ segment: Segment) { segments.withLock { $0[segment.number] = segment } }
    func remove(_ number: UInt64) { segments.withLock { $0[number] = nil } }
}

extension SegmentTable {
    /// The content of a message in a segment, checked; nil when it is damaged, or the segment was recycled meanwhile.
    package func content(_ reference: ContentReference) -> [UInt8]? {
        guard case .inline(let number, let offset, let length, let check) = reference, let segment = self[number],
            let bytes = try? segment.file.read(Int(length), at: Int(offset)), bytes.count == Int(length)
        else { return nil }
        var computed = segment.salt.check
        computed.update(bytes)
        return computed.value == check ? bytes : nil
    }
}
