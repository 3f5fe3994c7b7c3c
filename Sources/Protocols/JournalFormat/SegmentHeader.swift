package import Bytes

/// What is secret about a segment: new at each use of the file, and part of every check in it, so that no content of a mail can pass for a batch.
package struct Salt: Equatable, Sendable {
    package let bytes: [UInt8]

    package static let size = 16

    /// - Parameter bytes: ``size`` random bytes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Salt.size else { return nil }
        self.bytes = Array(bytes)
    }

    /// Starts a check of bytes in this segment.
    package var check: CRC32C { CRC32C(seed: CRC32C.of(bytes)) }

    /// Stands in every batch: what was not written under this salt cannot show it.
    package var tag: UInt64 { bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) } }
}

/// The first block of a segment file.
package struct SegmentHeader: Equatable, Sendable {
    /// From 1, one more for each segment taken into use: the order of the log.
    package var number: UInt64
    package var salt: Salt
    /// How often this queue has been started, this start included.
    package var epoch: UInt64
    /// Of the first batch in it.
    package var firstSequence: UInt64
    /// The first segment still in use: files with a lower number are free.
    package var oldestSegment: UInt64
    /// Ids up to here are taken.
    package var lastID: UInt64
    /// Of the file, bytes.
    package var size: UInt64

    package init(number: UInt64, salt: Salt, epoch: UInt64, firstSequence: UInt64, oldestSegment: UInt64, lastID: UInt64, size: UInt64) {
        self.number = number
        self.salt = salt
        self.epoch = epoch
        self.firstSequence = firstSequence
        self.oldestSegment = oldestSegment
        self.lastID = lastID
        self.size = size
    }

    package static let magic = Array("MartletJ".utf8)
    package static let version: UInt32 = 1

    /// One block.
    package func encode() -> [UInt8] {
        var block = SegmentHeader.magic
        block.append(number: SegmentHeader.version)
        block.append(number: number)
        block.append(contentsOf: salt.bytes)
        for value in [epoch, firstSequence, oldestSegment, lastID, size] { block.append(number: value) }
        block.append(number: CRC32C.of(block))
        block.append(contentsOf: [UInt8](repeating: 0, count: Block.size - block.count))
        return block
    }

    package enum Reading: Equatable, Sendable {
        case header(SegmentHeader)
        /// Never used: zeros.
        case blank
        case damaged
    }

    package static func read(_ block: [UInt8]) -> Reading {
        if block.allSatisfy({ $0 == 0 }) { return .blank }
        var reader = ByteReader(block)
        guard let magic = reader.bytes(8), magic.elementsEqual(SegmentHeader.magic), reader.number(UInt32.self) == version,
            let number = reader.number(UInt64.self), let saltBytes = reader.bytes(Salt.size), let salt = Salt(saltBytes),
            let epoch = reader.number(UInt64.self), let firstSequence = reader.number(UInt64.self),
            let oldestSegment = reader.number(UInt64.self), let lastID = reader.number(UInt64.self), let size = reader.number(UInt64.self)
        else { return .damaged }
        let checked = block.count - reader.rest.count
        guard reader.number(UInt32.self) == CRC32C.of(block[..<checked]) else { return .damaged }
        return .header(
            SegmentHeader(
                number: number, salt: salt, epoch: epoch, firstSequence: firstSequence,
                oldestSegment: oldestSegment, lastID: lastID, size: size))
    }
}

/// The unit of placement: a batch begins on a boundary of it, and a block with acknowledged bytes is never written again.
package enum Block {
    package static let size = 4096

    package static func roundUp(_ length: Int) -> Int { (length + size - 1) & ~(size - 1) }
}
