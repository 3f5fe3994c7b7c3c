private import Bytes

/// The front of a batch: header, then records (together the head), then the contents that its accepts and carries refer to, up to the next block boundary.
/// The head has a check of its own, so that recovery reads heads only.
package struct BatchHeader: Equatable, Sendable {
    package var segment: UInt64
    /// One more for each batch of the log, across segments.
    package var sequence: UInt64
    /// All batches up to this one were known to be synced when this one was written.
    package var synced: UInt64
    /// Ids up to here are taken.
    package var lastID: UInt64
    /// The first segment still in use.
    package var oldestSegment: UInt64
    /// Header and records, bytes.
    package var headLength: UInt32
    package var contentLength: UInt32

    package init(
        segment: UInt64, sequence: UInt64, synced: UInt64, lastID: UInt64, oldestSegment: UInt64, headLength: UInt32, contentLength: UInt32
    ) {
        self.segment = segment
        self.sequence = sequence
        self.synced = synced
        self.lastID = lastID
        self.oldestSegment = oldestSegment
        self.headLength = headLength
        self.contentLength = contentLength
    }

    private static let magic = Array("Batch\r\n\0".utf8)
    /// Bytes of the header itself.
    package static let size = 72

    /// Up to the next boundary.
    package var totalLength: Int { Block.roundUp(Int(headLength) + Int(contentLength)) }

    /// Fills in the header over the first ``size`` bytes of `head`, whose records are in place.
    package func seal(_ head: inout [UInt8], salt: Salt) {
        var header = BatchHeader.magic
        header.append(number: salt.tag)
        for value in [segment, sequence, synced, lastID, oldestSegment] { header.append(number: value) }
        header.append(number: headLength)
        header.append(number: contentLength)
        head.replaceSubrange(0..<header.count, with: header)
        var check = salt.check
        check.update(header)
        check.update(head[BatchHeader.size..<Int(headLength)])
        head.overwrite(number: check.value, at: header.count)
        head.overwrite(number: UInt32(0), at: header.count + 4)
    }

    package enum Reading: Equatable, Sendable {
        /// Well-formed so far; ``isWhole(_:salt:)`` checks it when all of the head is there.
        case header(BatchHeader)
        /// What this use of the segment has not written.
        case nothing
    }

    /// - Parameter block: at least ``size`` bytes at a block boundary.
    package static func read(_ block: ArraySlice<UInt8>, salt: Salt) -> Reading {
        var reader = ByteReader(block)
        guard let magic = reader.bytes(8), magic.elementsEqual(BatchHeader.magic), reader.number(UInt64.self) == salt.tag,
            let segment = reader.number(UInt64.self), let sequence = reader.number(UInt64.self), let synced = reader.number(UInt64.self),
            let lastID = reader.number(UInt64.self), let oldest = reader.number(UInt64.self), let headLength = reader.number(UInt32.self),
            let contentLength = reader.number(UInt32.self)
        else { return .nothing }
        return .header(
            BatchHeader(
                segment: segment, sequence: sequence, synced: synced, lastID: lastID, oldestSegment: oldest, headLength: headLength,
                contentLength: contentLength))
    }

    /// - Parameter head: ``headLength`` bytes.
    package func isWhole(_ head: ArraySlice<UInt8>, salt: Salt) -> Bool {
        let fields = BatchHeader.size - 8
        guard head.count == Int(headLength), head.count >= BatchHeader.size else { return false }
        var reader = ByteReader(head.dropFirst(fields))
        var check = salt.check
        check.update(head.prefix(fields))
        check.update(head.dropFirst(BatchHeader.size))
        return reader.number(UInt32.self) == check.value
    }
}
