private import Glibc
internal import JournalFormat
package import Posix
package import Storage

extension Journal {
    /// Reads the log and makes it ready to be written. Safe to be cut off and begun again at any point.
    ///
    /// - Parameters:
    ///   - random: gives ``Salt/size`` unpredictable bytes.
    ///   - index: receives what lives.
    package static func recover(
        _ storage: any Storage, parameters: Parameters, random: @escaping () -> [UInt8], into index: inout QueueIndex
    ) throws(SystemError) -> (journal: Journal, findings: [RecoveryFinding]) {
        var recovery = Recovery(storage, parameters)
        try recovery.findSegments()
        try recovery.readAll(into: &index)
        let journal = Journal(
            storage, pool: recovery.pool, table: recovery.table, parameters: parameters, start: recovery.start, random: random)
        if !recovery.wasStoppedInOrder {
            try recovery.tail.settle(journal, &index)
            while journal.pool.count == 0 { try journal.pool.prepare() }
            try journal.declareVoid(recovery.voidsToDeclare)
        }
        return (journal, recovery.findings)
    }

    /// What recovery dropped, or wrote again elsewhere, must stay dropped, and be reported once.
    private func declareVoid(_ records: [JournalRecord]) throws(SystemError) {
        do throws(Failure) {
            try startSegment(declaring: records)
        } catch {
            throw error.asSystemError
        }
    }
}

extension Journal.Failure {
    /// For those who can do nothing with the difference.
    var asSystemError: SystemError {
        if case .disk(let reason) = self { return reason }
        return SystemError(call: "write", subject: "queue/journal", errno: ENOSPC)
    }
}

/// One run of recovery.
private struct Recovery {
    let storage: any Storage
    let parameters: Journal.Parameters
    let pool: SegmentPool
    let table = SegmentTable()
    var start = Journal.Start()
    var findings: [RecoveryFinding] = []
    /// What stands in batches that may never have been synced.
    var tail = RecoveredTail()
    private var voids: [UInt64: [ClosedRange<UInt64>]] = [:]
    private var newVoids: [JournalRecord] = []
    private var headless: [(name: String, file: any StorageFile)] = []
    private var newestWithBatches: UInt64 = 0
    /// Segments whose first batch is there and was synced.
    private var firstSynced: Set<UInt64> = []
    /// The highest sequence that was known to be synced.
    private var mark: UInt64 = 0

    init(_ storage: any Storage, _ parameters: Journal.Parameters) {
        self.storage = storage
        self.parameters = parameters
        pool = SegmentPool(storage, segmentSize: parameters.segmentSize)
    }

    // MARK: Files

    mutating func findSegments() throws(SystemError) {
        var used: [Segment] = []
        var oldest: UInt64 = 0
        for name in try storage.list(SegmentPool.folder).sorted(by: { ($0.count, $0) < ($1.count, $1) }) {
            guard let number = UInt64(name) else {
                try setAside(name)
                continue
            }
            pool.reserveName(number)
            let file = try storage.open("\(SegmentPool.folder)/\(name)")
            if let header = try header(of: file) {
                used.append(Segment(name: name, file: file, header: header))
                oldest = max(oldest, header.oldestSegment)
                start.epoch = max(start.epoch, header.epoch)
                start.lastID = max(start.lastID, header.lastID)
                start.lastSequence = max(start.lastSequence, max(header.firstSequence, 1) - 1)
            } else if try file.size() == parameters.segmentSize {
                headless.append((name, file))
            } else {
                // It was being prepared at the crash.
                try remove(name)
            }
        }
        used.sort { $0.number < $1.number }
        start.lastNumber = used.last?.number ?? 0
        try markNewest(used, &oldest)
        start.oldestNumber = oldest
        try sortOut(used, oldest)
    }

    /// The header stands in the first block and again in the last.
    private func header(of file: any StorageFile) throws(SystemError) -> SegmentHeader? {
        if case .header(let header) = SegmentHeader.read(try file.read(Block.size, at: 0)) { return header }
        let size = try file.size()
        guard size >= 2 * Block.size, case .header(let header) = SegmentHeader.read(try file.read(Block.size, at: size - Block.size)),
            header.size == UInt64(size)
        else { return nil }
        return header
    }

    /// The newest batch knows best what was synced.
    private mutating func markNewest(_ used: [Segment], _ oldest: inout UInt64) throws(SystemError) {
        for segment in used.reversed() {
            var reader = SegmentReader(segment, scansBehindEnd: true)
            var hasBatches = false
            var isAtEnd = false
            while !isAtEnd {
                switch try reader.next() {
                case .batch(let header, _, _):
                    hasBatches = true
                    mark = max(mark, header.synced)
                    oldest = max(oldest, header.oldestSegment)
                case .damage: continue
                case .end: isAtEnd = true
                }
            }
            if hasBatches {
                newestWithBatches = segment.number
                return
            }
        }
    }

    /// Files below `oldest` are free.
    private mutating func sortOut(_ used: [Segment], _ oldest: UInt64) throws(SystemError) {
        for segment in used {
            if segment.number >= oldest {
                start.segments.append(segment)
                table.insert(segment)
            } else if segment.size == parameters.segmentSize {
                pool.put(segment.name, segment.file)
            } else {
                try remove(segment.name)
            }
        }
    }

    private func remove(_ name: String) throws(SystemError) { try storage.remove("\(SegmentPool.folder)/\(name)") }

    private static let quarantine = "quarantine"

    private mutating func setAside(_ name: String) throws(SystemError) {
        try storage.makeDirectory(Self.quarantine)
        let taken = Set(try storage.list(Self.quarantine))
        var number = 1
        while taken.contains("journal-\(name)-\(number)") { number += 1 }
        let kept = "\(Self.quarantine)/journal-\(name)-\(number)"
        try storage.rename("\(SegmentPool.folder)/\(name)", to: kept)
        findings.append(.unknownFile("\(SegmentPool.folder)/\(name)", kept: kept))
    }

    /// Bytes kept of one place, at most: enough to look into what happened.
    private static let keptBytes = 64 << 20

    private func keep(_ segment: Segment, _ bytes: Range<Int>) -> String {
        let path = "\(Self.quarantine)/segment-\(segment.number)-\(bytes.lowerBound)"
        do throws(SystemError) {
            try storage.makeDirectory(Self.quarantine)
            let content = try segment.file.read(min(bytes.count, Self.keptBytes), at: bytes.lowerBound)
            try? storage.remove(path)
            let file = try storage.create(path)
            try file.write(content, at: 0)
            try file.sync()
            try storage.syncDirectory(Self.quarantine)
            return path
        } catch {
            return "nothing (\(error))"
        }
    }

    // MARK: Records

    mutating func readAll(into index: inout QueueIndex) throws(SystemError) {
        try findVoids()
        findMissing()
        try placeHeadless()
        for (position, segment) in start.segments.enumerated() {
            var reader = SegmentReader(
                segment, requiredThrough: requiredThrough(position), scansBehindEnd: segment.number >= newestWithBatches, trustedThrough: mark)
            try read(&reader, into: &index)
        }
        start.mark = mark
        if wasStoppedInOrder { start.lastSequence = mark }
    }

    /// Behind the mark stands nothing but, at most, the empty batch that told it: its sequence can be used again, and nothing needs to be declared.
    var wasStoppedInOrder: Bool {
        tail.isEmpty && findings.isEmpty && start.segments.last.map { $0.number == newestWithBatches } ?? true
    }

    /// The last batch of a segment that must be there: it is synced, and the next segment begins behind it.
    private func requiredThrough(_ position: Int) -> UInt64 {
        guard position + 1 < start.segments.count else { return mark }
        let next = start.segments[position + 1]
        return next.number == start.segments[position].number + 1 ? min(mark, next.firstSequence - 1) : 0
    }

    /// Damage that was reported, and all of the tail: it is written again, or was never there.
    var voidsToDeclare: [JournalRecord] {
        let tails = start.segments.filter { segment in
            let next = start.segments.first { $0.number > segment.number }
            return next.map { $0.firstSequence > mark } ?? true
        }
        return newVoids
            + tails.map { .void(segment: $0.number, from: max($0.firstSequence, mark + 1), through: .max) }
    }

    /// Voids stand in the first batch of a segment.
    private mutating func findVoids() throws(SystemError) {
        for segment in start.segments {
            var reader = SegmentReader(segment)
            guard case .batch(let header, let head, let offset) = try reader.next(),
                let records = Journal.records(of: header, head: head, at: offset)
            else { continue }
            if header.sequence <= mark { firstSynced.insert(segment.number) }
            for case .void(let number, let from, let through) in records where from <= through {
                voids[number, default: []].append(from...through)
            }
        }
    }

    /// Every number must be there, unless its header never was: then the first batch of the next one declares it void, if that was ever synced.
    private mutating func findMissing() {
        // A file is used again only when a batch that says so is durable: what the newest batch names as the oldest segment must still be there.
        if let first = start.segments.first, firstSynced.contains(first.number) {
            for number in start.oldestNumber..<first.number where voids[number] == nil { findings.append(.missingSegment(number)) }
        }
        for (segment, next) in zip(start.segments, start.segments.dropFirst()) where firstSynced.contains(next.number) {
            for number in segment.number + 1..<next.number where voids[number] == nil { findings.append(.missingSegment(number)) }
        }
    }

    /// Files without a header were never used, or a crash cut off their first header: then no batch in them was ever synced. But when a segment is
    /// missing it may be one of them: they are kept.
    private mutating func placeHeadless() throws(SystemError) {
        let isMissing = findings.contains { if case .missingSegment = $0 { true } else { false } }
        for (name, file) in headless {
            if isMissing, SegmentHeader.read(try file.read(Block.size, at: 0)) == .damaged { try setAside(name) } else { pool.put(name, file) }
        }
    }

    private func isVoid(_ segment: UInt64, _ sequence: UInt64) -> Bool { voids[segment]?.contains { $0.contains(sequence) } ?? false }

    private mutating func read(_ reader: inout SegmentReader, into index: inout QueueIndex) throws(SystemError) {
        let segment = reader.segment
        while true {
            switch try reader.next() {
            case .end: return
            case .batch(let header, let head, let offset):
                start.lastSequence = max(start.lastSequence, header.sequence)
                start.lastID = max(start.lastID, header.lastID)
                if isVoid(segment.number, header.sequence) { continue }
                guard let records = Journal.records(of: header, head: head, at: offset) else {
                    findings.append(.unreadableBatch(segment: segment.number, sequence: header.sequence))
                    continue
                }
                for record in records {
                    note(record)
                    if header.sequence > mark { tail.note(record) }
                    index.apply(record, segment: segment.number)
                }
            case .damage(let sequences, let bytes):
                start.lastSequence = max(start.lastSequence, sequences.upperBound)
                if isVoid(segment.number, sequences.lowerBound) { continue }
                let kept = keep(segment, bytes)
                let isTail = sequences.lowerBound > reader.requiredThrough
                findings.append(
                    isTail
                        ? .unsyncedTail(segment: segment.number, sequences: sequences, kept: kept)
                        : .corruption(segment: segment.number, sequences: sequences, kept: kept))
                // Dropped for good, and reported once.
                newVoids.append(.void(segment: segment.number, from: sequences.lowerBound, through: sequences.upperBound))
            }
        }
    }

    private mutating func note(_ record: JournalRecord) {
        switch record {
        case .accept(let message), .carry(let message): start.lastID = max(start.lastID, message.id)
        default: break
        }
    }
}
