private import JournalFormat

/// Keeps the log short: first in, first out. What still lives in the oldest segment is carried to the head, then the segment is released.
///
/// Log ≤ 2 × live bytes + 4 segments: below that, cleaning would write more than it gains.
package struct Cleaner {
    /// Messages whose latest record was put into the segment; some have left it since.
    private var residents: [UInt64: [UInt64]] = [:]
    /// The segment being emptied, and how many of its residents have been looked at.
    private var current: (segment: UInt64, next: Int)?

    private static let slackSegments = 4
    /// Carried in one step, about: new mail must not wait long behind it.
    private static let stepBytes = 2 << 20

    package init() {}

    /// What was recovered.
    package init(_ index: QueueIndex) {
        for (id, message) in index.messages.sorted(by: { $0.key < $1.key }) { placed(id, in: message.segment) }
    }

    package mutating func placed(_ id: UInt64, in segment: UInt64) { residents[segment, default: []].append(id) }

    /// What the log looks like, as far as its owner knows.
    package struct Log {
        package var oldestSegment: UInt64
        package var newestSegment: UInt64
        package var segmentSize: Int
        /// All tokens up to here are answered.
        package var known: UInt64
        /// No free segment is left but the reserve.
        package var isShort: Bool

        package init(oldestSegment: UInt64, newestSegment: UInt64, segmentSize: Int, known: UInt64, isShort: Bool) {
            self.oldestSegment = oldestSegment
            self.newestSegment = newestSegment
            self.segmentSize = segmentSize
            self.known = known
            self.isShort = isShort
        }

        fileprivate var bytes: Int { Int(clamping: newestSegment - oldestSegment + 1) * segmentSize }
    }

    /// The next entries to commit; empty when nothing is to be done. Call again when all of them are answered.
    package mutating func step(_ index: QueueIndex, _ log: Log) -> [JournalEntry] {
        guard log.oldestSegment < log.newestSegment else { return [] }
        let oldest = log.oldestSegment
        if current?.segment != oldest {
            current = nil
            guard isDue(index, log) else { return [] }
            current = (oldest, 0)
        }
        if let entries = carry(oldest, index) { return entries }
        // What is ending is neither carried nor cut off.
        if residents[oldest]?.contains(where: { index[$0]?.segment == oldest }) == true {
            current = (oldest, 0)
            return []
        }
        return [.release(through: oldest, known: log.known)]
    }

    /// Something of the segment could not be carried: look at all of it again.
    package mutating func retry() { if let segment = current?.segment { current = (segment, 0) } }

    /// The release of `segment` was answered and had its effect.
    package mutating func released(_ segment: UInt64) {
        residents[segment] = nil
        current = nil
    }

    private mutating func isDue(_ index: QueueIndex, _ log: Log) -> Bool {
        dropDead(log.oldestSegment, index)
        if residents[log.oldestSegment] == nil { return true }
        // On a full disk every segment counts, as long as carrying frees more than it fills.
        if log.isShort { return log.bytes > index.liveBytes + 2 * log.segmentSize }
        return log.bytes > 2 * index.liveBytes + Self.slackSegments * log.segmentSize
    }

    /// Forgets what left the segment, up to the first resident that lives, so that nothing is looked at twice.
    private mutating func dropDead(_ segment: UInt64, _ index: QueueIndex) {
        guard let ids = residents[segment] else { return }
        let dead = ids.prefix { index[$0]?.segment != segment }.count
        if dead > 0 { residents[segment] = dead < ids.count ? Array(ids[dead...]) : nil }
    }

    /// Nil when nothing is left to carry.
    private mutating func carry(_ segment: UInt64, _ index: QueueIndex) -> [JournalEntry]? {
        let ids = residents[segment] ?? []
        var next = current?.next ?? 0
        var bytes = 0
        var entries: [JournalEntry] = []
        while next < ids.count, bytes < Self.stepBytes {
            defer { next += 1 }
            guard let message = index[ids[next]], message.segment == segment, !message.isEnding else { continue }
            entries.append(.carry(message.record))
            bytes += message.record.logBytes
        }
        current = (segment, next)
        return entries.isEmpty ? nil : entries
    }
}
