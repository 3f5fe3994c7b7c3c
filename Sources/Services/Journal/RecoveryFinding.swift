internal import JournalFormat

/// What recovery found that was not as it should be. Nothing is dropped in silence.
package enum RecoveryFinding: Equatable, Sendable, CustomStringConvertible {
    /// Acknowledged bytes are damaged; they are kept in `kept`.
    case corruption(segment: UInt64, sequences: ClosedRange<UInt64>, kept: String)
    /// Bytes that were being written at the crash and are not whole. Nothing says that they were ever synced, and so that anybody was told of them.
    case unsyncedTail(segment: UInt64, sequences: ClosedRange<UInt64>, kept: String)
    /// A whole segment is not there.
    case missingSegment(UInt64)
    /// A file that is no segment, moved away.
    case unknownFile(String, kept: String)
    /// A batch whose head checks and yet holds no records: a defect of this program, or of an older one.
    case unreadableBatch(segment: UInt64, sequence: UInt64)

    /// Whether acknowledged mail may be concerned.
    package var isCorruption: Bool {
        switch self {
        case .corruption, .missingSegment, .unreadableBatch: true
        case .unsyncedTail, .unknownFile: false
        }
    }

    package var description: String {
        switch self {
        case .corruption(let segment, let sequences, let kept):
            "alert: queue: segment \(segment) batches \(sequences.lowerBound) to \(sequences.upperBound) are damaged; bytes kept in \(kept)"
        case .unsyncedTail(let segment, let sequences, let kept):
            "warning: queue: segment \(segment) batch \(sequences.lowerBound) was cut off by the last crash; bytes kept in \(kept)"
        case .missingSegment(let number): "alert: queue: segment \(number) is missing"
        case .unknownFile(let name, let kept): "warning: queue: \(name) is no segment; kept as \(kept)"
        case .unreadableBatch(let segment, let sequence): "alert: queue: segment \(segment) batch \(sequence) cannot be understood"
        }
    }
}
