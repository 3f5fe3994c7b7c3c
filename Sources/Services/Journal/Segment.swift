package import JournalFormat
internal import Posix
package import Storage
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
    /// The content of a message in a segment, checked; nil when it is damaged, cannot be read now, or the segment was recycled meanwhile.
    package func content(_ reference: ContentReference) -> [UInt8]? {
        guard let (bytes, isWhole) = try? read(reference), isWhole else { return nil }
        return bytes
    }

    /// - Returns: `isWhole` false when the bytes are not what was written.
    /// - Throws: when the disk cannot be read now; that says nothing about the bytes.
    func read(_ reference: ContentReference) throws(SystemError) -> (bytes: [UInt8], isWhole: Bool) {
        guard case .inline(let number, let offset, let length, let check) = reference, let segment = self[number] else { return ([], false) }
        let bytes = try segment.file.read(Int(length), at: Int(offset))
        var computed = segment.salt.check
        computed.update(bytes)
        let missing = Int(length) - bytes.count
        return (bytes + [UInt8](repeating: 0, count: missing), missing == 0 && computed.value == check)
    }
}
