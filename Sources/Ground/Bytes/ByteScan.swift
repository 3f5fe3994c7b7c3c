/// Looks at eight bytes at a time: encoding and judging content touches every byte of every message.
@usableFromInline package enum ByteScan {
    @inlinable package static var low7: UInt64 { 0x7F7F_7F7F_7F7F_7F7F }
    @inlinable package static var highBits: UInt64 { 0x8080_8080_8080_8080 }

    @inlinable package static func repeated(_ byte: UInt8) -> UInt64 { UInt64(byte) &* 0x0101_0101_0101_0101 }

    /// The high bit of every byte of `word` that is zero, exactly.
    @inlinable package static func zeros(in word: UInt64) -> UInt64 { ~(((word & low7) &+ low7) | word | low7) }

    /// The first CR or LF at or after `start`, else the end.
    @inlinable package static func firstLineEnd(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        let (lf, cr) = (ASCII.lf, ASCII.cr)
        let (lineFeeds, carriageReturns) = (repeated(lf), repeated(cr))
        var position = start
        while position + 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            let found = zeros(in: word ^ lineFeeds) | zeros(in: word ^ carriageReturns)
            if found != 0 { return position + found.trailingZeroBitCount / 8 }
            position += 8
        }
        while position < bytes.count, bytes[position] != lf, bytes[position] != cr { position += 1 }
        return position
    }
}
