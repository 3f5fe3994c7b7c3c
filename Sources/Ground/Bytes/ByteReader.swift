/// Reads little-endian numbers and counted bytes from the front of a slice. Every read says nil, and consumes nothing, when too little is left.
///
/// Module `Bytes` is the ground of the pure floors: octets, decimal numbers, CRC-32C. It knows no protocol and calls no system; everything in it is
/// total: any bytes may come, and none of them stops a process.
@usableFromInline package struct ByteReader {
    @usableFromInline var left: ArraySlice<UInt8>

    @inlinable package init(_ bytes: ArraySlice<UInt8>) { left = bytes }
    @inlinable package init(_ bytes: [UInt8]) { left = bytes[...] }

    /// What has not been read.
    @inlinable package var rest: ArraySlice<UInt8> { left }

    @inlinable package var isAtEnd: Bool { left.isEmpty }

    @inlinable package mutating func number<T: FixedWidthInteger & UnsignedInteger>(_: T.Type) -> T? {
        let size = MemoryLayout<T>.size
        guard left.count >= size else { return nil }
        let value = left.withUnsafeBytes { $0.loadUnaligned(as: T.self) }
        left.removeFirst(size)
        return T(littleEndian: value)
    }

    @inlinable package mutating func byte() -> UInt8? { left.popFirst() }

    @inlinable package mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, left.count >= count else { return nil }
        defer { left.removeFirst(count) }
        return left.prefix(count)
    }

    /// Bytes behind a 16-bit count.
    @inlinable package mutating func counted() -> ArraySlice<UInt8>? {
        let start = left
        guard let count = number(UInt16.self), let found = bytes(Int(count)) else {
            left = start
            return nil
        }
        return found
    }

    /// Bytes behind a 32-bit count.
    @inlinable package mutating func longCounted() -> ArraySlice<UInt8>? {
        let start = left
        guard let count = number(UInt32.self), let found = bytes(Int(count)) else {
            left = start
            return nil
        }
        return found
    }

    /// All that is left.
    @inlinable package mutating func remainder() -> ArraySlice<UInt8> {
        defer { left = left[left.endIndex...] }
        return left
    }
}

extension [UInt8] {
    @inlinable package mutating func append<T: FixedWidthInteger & UnsignedInteger>(number: T) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }

    /// Writes `number` over the bytes at `offset`, which must exist: for lengths known only after what they count.
    @inlinable package mutating func overwrite<T: FixedWidthInteger & UnsignedInteger>(number: T, at offset: Int) {
        Swift.withUnsafeBytes(of: number.littleEndian) { replaceSubrange(offset..<offset + $0.count, with: $0) }
    }

    /// Bytes behind a 16-bit count. What exceeds 65,535 bytes is cut: callers bound addresses and texts far below.
    @inlinable package mutating func append(counted bytes: some Collection<UInt8>) {
        let kept = bytes.prefix(Int(UInt16.max))
        append(number: UInt16(kept.count))
        append(contentsOf: kept)
    }

    /// Bytes behind a 32-bit count.
    @inlinable package mutating func append(longCounted bytes: some Collection<UInt8>) {
        append(number: UInt32(bytes.count))
        append(contentsOf: bytes)
    }

    @inlinable package mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { append(contentsOf: $0) }
    }
}
