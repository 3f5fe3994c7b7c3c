/// Reads little-endian numbers and counted bytes from the front of a slice. Every read says nil, and consumes nothing, when too little is left.
package struct ByteReader {
    package private(set) var rest: ArraySlice<UInt8>

    package init(_ bytes: ArraySlice<UInt8>) { rest = bytes }
    package init(_ bytes: [UInt8]) { rest = bytes[...] }

    package var isAtEnd: Bool { rest.isEmpty }

    package mutating func number<T: FixedWidthInteger & UnsignedInteger>(_: T.Type) -> T? {
        let size = MemoryLayout<T>.size
        guard rest.count >= size else { return nil }
        let value = rest.withUnsafeBytes { $0.loadUnaligned(as: T.self) }
        rest.removeFirst(size)
        return T(littleEndian: value)
    }

    package mutating func byte() -> UInt8? { rest.popFirst() }

    package mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, rest.count >= count else { return nil }
        defer { rest.removeFirst(count) }
        return rest.prefix(count)
    }

    /// Bytes behind a 16-bit count.
    package mutating func counted() -> ArraySlice<UInt8>? {
        let start = rest
        guard let count = number(UInt16.self), let found = bytes(Int(count)) else {
            rest = start
            return nil
        }
        return found
    }

    /// Bytes behind a 32-bit count.
    package mutating func longCounted() -> ArraySlice<UInt8>? {
        let start = rest
        guard let count = number(UInt32.self), let found = bytes(Int(count)) else {
            rest = start
            return nil
        }
        return found
    }

    /// All that is left.
    package mutating func remainder() -> ArraySlice<UInt8> {
        defer { rest = rest[rest.endIndex...] }
        return rest
    }
}

extension [UInt8] {
    package mutating func append<T: FixedWidthInteger & UnsignedInteger>(number: T) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }

    /// Writes `number` over the bytes at `offset`, which must exist: for lengths known only after what they count.
    package mutating func overwrite<T: FixedWidthInteger & UnsignedInteger>(number: T, at offset: Int) {
        Swift.withUnsafeBytes(of: number.littleEndian) { replaceSubrange(offset..<offset + $0.count, with: $0) }
    }

    /// Bytes behind a 16-bit count. What exceeds 65,535 bytes is cut: callers bound addresses and texts far below.
    package mutating func append(counted bytes: some Collection<UInt8>) {
        let kept = bytes.prefix(Int(UInt16.max))
        append(number: UInt16(kept.count))
        append(contentsOf: kept)
    }

    /// Bytes behind a 32-bit count.
    package mutating func append(longCounted bytes: some Collection<UInt8>) {
        append(number: UInt32(bytes.count))
        append(contentsOf: bytes)
    }

    package mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { append(contentsOf: $0) }
    }
}
