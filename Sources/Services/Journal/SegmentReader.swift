private import Bytes
internal import JournalFormat
internal import Posix
internal import Storage

/// Walks the batches of one segment from its start, heads only, and past damage to the next batch that is whole.
struct SegmentReader {
    enum Step {
        /// `offset` is the batch's place in the file.
        case batch(BatchHeader, head: ArraySlice<UInt8>, offset: Int)
        /// Bytes that should have been batches `sequences`; the walk goes on behind them.
        case damage(sequences: ClosedRange<UInt64>, bytes: Range<Int>)
        case end
    }

    let segment: Segment
    /// A batch up to here must be there: it is known from elsewhere. Behind it, the end may come.
    let requiredThrough: UInt64
    /// Look behind the end for batches that were written when their predecessor was not.
    let scansBehindEnd: Bool
    /// Batches above it are believed only when their contents check too: their sync may never have happened.
    let trustedThrough: UInt64

    private var offset = Block.size
    private(set) var nextSequence: UInt64
    private var isAtEnd = false

    init(_ segment: Segment, requiredThrough: UInt64 = 0, scansBehindEnd: Bool = false, trustedThrough: UInt64 = .max) {
        self.segment = segment
        self.requiredThrough = requiredThrough
        self.scansBehindEnd = scansBehindEnd
        self.trustedThrough = trustedThrough
        nextSequence = segment.firstSequence
    }

    mutating func next() throws(SystemError) -> Step {
        guard !isAtEnd else { return .end }
        if let found = try batch(at: offset), found.header.sequence == nextSequence {
            let start = offset
            offset += found.header.totalLength
            nextSequence += 1
            return .batch(found.header, head: found.head, offset: start)
        }
        return try passDamage()
    }

    /// No whole batch stands at `offset`: finds the next one, or decides that this is the end.
    private mutating func passDamage() throws(SystemError) -> Step {
        let expected = nextSequence
        let start = offset
        if try looksWritten(at: offset) || expected <= requiredThrough || scansBehindEnd {
            var candidate = offset + Block.size
            while candidate + 2 * Block.size <= segment.size {
                if let found = try batch(at: candidate), found.header.sequence > expected {
                    offset = candidate
                    nextSequence = found.header.sequence
                    return .damage(sequences: expected...(found.header.sequence - 1), bytes: start..<candidate)
                }
                candidate += Block.size
            }
        }
        isAtEnd = true
        guard try looksWritten(at: offset) || expected <= requiredThrough else { return .end }
        let last = max(expected, requiredThrough)
        nextSequence = last + 1
        return .damage(sequences: expected...last, bytes: start..<segment.size)
    }

    /// Whether a batch of this use of the segment was begun here.
    private func looksWritten(at offset: Int) throws(SystemError) -> Bool {
        guard offset + 2 * Block.size <= segment.size else { return false }
        let block = try segment.file.read(BatchHeader.size, at: offset)
        if case .header(let header) = BatchHeader.read(block[...], salt: segment.salt) { return header.sequence >= nextSequence }
        return false
    }

    /// The whole batch at a block boundary, nil when there is none.
    private func batch(at offset: Int) throws(SystemError) -> (header: BatchHeader, head: ArraySlice<UInt8>)? {
        // The last block is the second header.
        guard offset + 2 * Block.size <= segment.size else { return nil }
        let block = try segment.file.read(Block.size, at: offset)
        guard case .header(let header) = BatchHeader.read(block[...], salt: segment.salt), header.segment == segment.number,
            Int(header.headLength) + Int(header.contentLength) <= segment.size - offset
        else { return nil }
        let length = Int(header.headLength)
        let head = length <= block.count ? block[..<length] : try segment.file.read(length, at: offset)[...]
        guard header.isWhole(head, salt: segment.salt) else { return nil }
        if header.sequence > trustedThrough, try !contentsAreWhole(header, head, offset) { return nil }
        return (header, head)
    }

    private func contentsAreWhole(_ header: BatchHeader, _ head: ArraySlice<UInt8>, _ offset: Int) throws(SystemError) -> Bool {
        guard let records = Journal.records(of: header, head: head, at: offset) else { return false }
        let table = SegmentTable()
        table.insert(segment)
        for record in records {
            guard case .accept(let message) = record else {
                if case .carry(let message) = record, case .inline = message.content, table.content(message.content) == nil { return false }
                continue
            }
            if case .inline = message.content, table.content(message.content) == nil { return false }
        }
        return true
    }
}

extension Journal {
    /// The records of a batch, contents located in the segment; nil when the head is no sequence of records.
    static func records(of header: BatchHeader, head: ArraySlice<UInt8>, at offset: Int) -> [JournalRecord]? {
        var reader = ByteReader(head.dropFirst(BatchHeader.size))
        let contents = UInt32(offset) + header.headLength
        var records: [JournalRecord] = []
        while !reader.isAtEnd {
            guard let record = JournalRecord(&reader) else { return nil }
            switch record {
            case .accept(var message):
                guard message.locate(in: header, contents) else { return nil }
                records.append(.accept(message))
            case .carry(var message):
                guard message.locate(in: header, contents) else { return nil }
                records.append(.carry(message))
            default: records.append(record)
            }
        }
        return records
    }
}

extension MessageRecord {
    /// Turns an offset among the batch's contents into one in the segment. False when it points outside them.
    fileprivate mutating func locate(in header: BatchHeader, _ contents: UInt32) -> Bool {
        guard case .inline(_, let offset, let length, let check) = content else { return true }
        guard UInt64(offset) + UInt64(length) <= UInt64(header.contentLength) else { return false }
        content = .inline(segment: header.segment, offset: contents + offset, length: length, check: check)
        return true
    }
}
