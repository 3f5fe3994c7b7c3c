private import Bytes
internal import JournalFormat
package import Posix
internal import Storage

/// The log of the queue: batches appended to segments (design: "The queue"). One thread owns it; only ``table`` and ``pool`` are shared.
///
/// What holds at every moment:
/// - a batch is whole in one segment, and no block with acknowledged bytes is written again;
/// - ``synced`` is the highest sequence that a sync is known to cover; every batch carries it;
/// - a segment is left only when all in it is synced, or declared void by the first batch of the next;
/// - after a failed write or sync the segment is never touched again.
package final class Journal {
    package struct Parameters: Sendable {
        /// Of each file, bytes; a multiple of ``Block/size``.
        package var segmentSize = 64 << 20
        /// Segments that new mail may not touch: outcomes, bounces and carries must find room on a full disk.
        package var reservedSegments = 2
        /// Recycled files kept beyond those; what exceeds it is given back to the disk.
        package var spareSegments = 4

        package init() {}
    }

    package enum Failure: Error, Equatable {
        /// Larger than a segment can hold.
        case tooLarge
        /// No free segment: the disk is full, or the next one is still being prepared.
        case noRoom
        /// The sync that was to cover it failed, and all that it covered was declared void.
        case voided
        case disk(SystemError)
    }

    package let table: SegmentTable
    package let pool: SegmentPool
    package let parameters: Parameters
    /// How often this queue was started.
    package let epoch: UInt64
    /// The last batch that is known to be durable.
    package private(set) var synced: UInt64
    package private(set) var lastID: UInt64

    private let storage: any Storage
    private let random: () -> [UInt8]
    /// Oldest first; the last is written to. Empty only before the first batch of this start.
    private var segments: [Segment]
    private var position = 0
    private var sequence: UInt64
    private var lastNumber: UInt64
    /// The newest segment takes no more batches: it failed, or belongs to an earlier start.
    private var isRetired = true
    /// Voids not known to be durable yet; they go first into the next segment.
    private var voids: [JournalRecord]

    /// What recovery found; see ``recover(_:parameters:random:into:)``.
    struct Start {
        var segments: [Segment] = []
        var lastSequence: UInt64 = 0
        var lastID: UInt64 = 0
        var lastNumber: UInt64 = 0
        /// The first segment that must be there, as the newest batch says.
        var oldestNumber: UInt64 = 0
        var epoch: UInt64 = 0
        /// The highest sequence known to be synced.
        var mark: UInt64 = 0
    }

    init(
        _ storage: any Storage, pool: SegmentPool, table: SegmentTable, parameters: Parameters, start: Start, random: @escaping () -> [UInt8]
    ) {
        self.storage = storage
        self.pool = pool
        self.table = table
        self.parameters = parameters
        self.random = random
        segments = start.segments
        sequence = start.lastSequence
        synced = start.mark
        lastID = start.lastID
        lastNumber = start.lastNumber
        epoch = start.epoch + 1
        voids = []
    }

    /// The largest head and contents one batch can take.
    package var batchCapacity: Int { parameters.segmentSize - 2 * Block.size - Self.keptForMarkers }

    package var segmentsInUse: Int { segments.count }
    package var oldestSegment: UInt64 { segments.first?.number ?? lastNumber + 1 }
    package var newestSegment: UInt64 { segments.last?.number ?? 0 }

    /// Whether a batch of new mail may be written without touching the reserve.
    package func hasRoomForMail(_ length: Int) -> Bool { hasRoomInSegment(length) || pool.count > parameters.reservedSegments }

    private func hasRoomInSegment(_ length: Int) -> Bool {
        guard !isRetired, let segment = segments.last else { return false }
        return segment.size - position >= Block.roundUp(length) + Self.keptForMarkers
    }

    /// At the end of a segment: a block for the second header, and room for batches that say which segments are free.
    private static let keptForMarkers = 4 * Block.size

    /// The owner gave this id to a message: it must not be given out again, not after a crash either.
    func noteID(_ id: UInt64) { lastID = max(lastID, id) }

    // MARK: Writing

    /// Appends one batch. It is durable only after ``sync()``. On `.disk` the segment must be declared void: ``voidUnsynced()``.
    package func write(_ batch: inout Batch) throws(Failure) -> Place {
        guard batch.length <= batchCapacity else { throw .tooLarge }
        if !hasRoomInSegment(batch.length) { try openSegment() }
        return try append(&batch)
    }

    /// Where a batch stands; `contentOffset` is the place of its contents in the segment.
    package struct Place {
        package let segment: UInt64
        package let sequence: UInt64
        package let contentOffset: Int
    }

    private func append(_ batch: inout Batch) throws(Failure) -> Place {
        guard let segment = segments.last else { throw .noRoom }
        let header = BatchHeader(
            segment: segment.number, sequence: sequence + 1, synced: synced, lastID: lastID, oldestSegment: oldestSegment,
            headLength: UInt32(batch.headLength), contentLength: UInt32(batch.contentLength))
        let bytes = batch.sealed(header, salt: segment.salt)
        do throws(SystemError) {
            try segment.file.write(bytes, at: position)
        } catch {
            throw .disk(error)
        }
        defer { position += bytes.count }
        sequence += 1
        return Place(segment: segment.number, sequence: sequence, contentOffset: position + batch.headLength)
    }

    package var hasUnsynced: Bool { sequence > synced }

    /// Makes every batch so far durable.
    package func sync() throws(Failure) {
        guard hasUnsynced, let segment = segments.last else { return }
        do throws(SystemError) {
            try segment.file.sync()
        } catch {
            throw .disk(error)
        }
        synced = sequence
        voids = []
    }

    /// After a failed write or sync: nothing unsynced ever happened. Durable when this returns; when it throws, nobody may be told anything.
    package func voidUnsynced() throws(Failure) {
        retire()
        while true {
            do throws(Failure) {
                try openSegment()
                try sync()
                return
            } catch {
                guard case .disk = error else { throw error }
                retire()
            }
        }
    }

    /// Begins a fresh segment whose first batch declares `records` void; durable when this returns. All written before is synced.
    func startSegment(declaring records: [JournalRecord]) throws(Failure) {
        voids += records
        try openSegment()
        try sync()
    }

    private func retire() {
        guard !isRetired, let segment = segments.last else { return }
        isRetired = true
        voids.append(.void(segment: segment.number, from: max(synced + 1, segment.firstSequence), through: .max))
    }

    /// Leaves the newest segment for a fresh one. What voids are due stand in its first batch.
    private func openSegment() throws(Failure) {
        if !isRetired { try sync() }
        guard let free = pool.take() else { throw .noRoom }
        guard let salt = Salt(random()) else { throw .noRoom }
        let header = SegmentHeader(
            number: lastNumber + 1, salt: salt, epoch: epoch, firstSequence: sequence + 1, oldestSegment: segments.first?.number ?? lastNumber + 1,
            lastID: lastID, size: UInt64(parameters.segmentSize))
        let segment = Segment(name: free.name, file: free.file, header: header)
        lastNumber += 1
        segments.append(segment)
        table.insert(segment)
        position = Block.size
        isRetired = false
        do throws(SystemError) {
            // Twice, so that damage to one block cannot hide a segment.
            let block = header.encode()
            try free.file.write(block, at: 0)
            try free.file.write(block, at: parameters.segmentSize - Block.size)
        } catch {
            throw .disk(error)
        }
        if !voids.isEmpty {
            var batch = Batch()
            for record in voids { batch.append(record) }
            _ = try append(&batch)
        }
    }

    // MARK: Recycling

    /// The oldest segments up to `number` hold nothing that lives. The caller has synced what says so.
    ///
    /// Before a file is free, a batch says durably that it is: else a crash while its next header is being written could bring the old content back.
    /// - Returns: false when there is no room for that batch; then nothing changed.
    package func release(through number: UInt64) throws(Failure) -> Bool {
        precondition(!hasUnsynced, "a segment is released only after a sync")
        if isRetired || (segments.last.map { $0.size - position < 2 * Block.size } ?? true) {
            guard pool.count > 0 else { return false }
            try openSegment()
        }
        let freed = segments.dropLast().prefix { $0.number <= number }
        guard !freed.isEmpty else { return true }
        segments.removeFirst(freed.count)
        do throws(Failure) {
            var marker = Batch()
            _ = try append(&marker)
            try sync()
        } catch {
            segments.insert(contentsOf: freed, at: 0)
            throw error
        }
        for segment in freed { recycle(segment) }
        while pool.count > parameters.reservedSegments + parameters.spareSegments { pool.shrink() }
        return true
    }

    private func recycle(_ segment: Segment) {
        table.remove(segment.number)
        if segment.size == parameters.segmentSize {
            pool.put(segment.name, segment.file)
        } else {
            try? storage.remove("\(SegmentPool.folder)/\(segment.name)")
        }
    }
}
