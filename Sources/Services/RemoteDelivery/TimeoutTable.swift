package import Addresses
private import Bytes

/// qmail's tcpto (spec-qmail §9.3): addresses that did not answer, so that deliveries do not wait for each of them again.
///
/// The bytes are those of the file that qmail's tools know: 64 records of 16 bytes (address, count of time-outs at 4, seconds since 1970 at 8).
/// Behind them are as many of 32 bytes for IPv6, which qmail does not look at (address, count at 16, seconds at 20).
package struct TimeoutTable: Equatable, Sendable {
    /// One address that did not answer lately.
    package struct Entry: Equatable, Sendable {
        package let address: IPAddress
        package let count: UInt8
        /// Seconds since 1970.
        package let time: UInt64
    }

    private struct Shape {
        let start: Int
        let record: Int
        let address: Int
        let count: Int
        let time: Int

        static let v4 = Shape(start: 0, record: 16, address: 4, count: 4, time: 8)
        static let v6 = Shape(start: 16 * TimeoutTable.slots, record: 32, address: 16, count: 16, time: 20)

        static func of(_ address: IPAddress) -> Shape { address.isV6 ? .v6 : .v4 }
        func offset(_ slot: Int) -> Int { start + slot * record }
    }

    private static let slots = 64
    package static let byteCount = slots * (16 + 32)
    /// A time-out so soon after the last one counts as the same.
    private static let sameIncident: UInt64 = 120
    private static let maxCount: UInt8 = 10
    private static let skippedFrom: UInt8 = 2

    package private(set) var bytes: [UInt8]

    /// A file that is shorter, as qmail's is, lacks what it lacks.
    package init(_ bytes: [UInt8] = []) {
        self.bytes = Array(bytes.prefix(Self.byteCount)) + [UInt8](repeating: 0, count: max(0, Self.byteCount - bytes.count))
    }

    /// In the order of the file.
    package var entries: [Entry] {
        [Shape.v4, .v6].flatMap { shape in (0..<Self.slots).compactMap { entry(shape, $0) } }.filter { $0.count > 0 }
    }

    /// - Parameters:
    ///   - now: seconds since 1970.
    ///   - jitter: any number, in qmail the pid; spreads the end of the wait over half an hour.
    package func skips(_ address: IPAddress, now: UInt64, jitter: UInt64) -> Bool {
        let shape = Shape.of(address)
        guard let entry = slot(of: address).flatMap({ entry(shape, $0) }), entry.count >= Self.skippedFrom, now >= entry.time else { return false }
        return now - entry.time < (60 + jitter % 32) * 64
    }

    /// - Returns: the bytes that changed; nil if none did.
    package mutating func timedOut(_ address: IPAddress, now: UInt64) -> Range<Int>? {
        let shape = Shape.of(address)
        guard let known = slot(of: address), let entry = entry(shape, known) else {
            return write(address, shape, slotForNew(shape), count: 1, time: now)
        }
        guard entry.count == 0 || now >= entry.time + Self.sameIncident else { return nil }
        return write(address, shape, known, count: min(entry.count, Self.maxCount - 1) + 1, time: now)
    }

    /// It answered, be it with a refusal.
    /// - Returns: the bytes that changed; nil if none did.
    package mutating func answered(_ address: IPAddress) -> Range<Int>? {
        let shape = Shape.of(address)
        guard let known = slot(of: address), let entry = entry(shape, known), entry.count > 0 else { return nil }
        return write(address, shape, known, count: 0, time: entry.time)
    }

    private func entry(_ shape: Shape, _ slot: Int) -> Entry? {
        let start = shape.offset(slot)
        var time = ByteReader(bytes[(start + shape.time)...])
        guard let address = IPAddress(bytes[start..<start + shape.address]), let seconds = time.number(UInt32.self) else { return nil }
        return Entry(address: address, count: bytes[start + shape.count], time: UInt64(seconds))
    }

    private func slot(of address: IPAddress) -> Int? {
        let shape = Shape.of(address)
        return (0..<Self.slots).first { bytes[shape.offset($0)..<shape.offset($0) + shape.address].elementsEqual(address.bytes) }
    }

    /// A free one, else the one whose loss costs least.
    private func slotForNew(_ shape: Shape) -> Int {
        let weights = (0..<Self.slots).map { slot in
            entry(shape, slot).map { $0.count == 0 ? 0 : $0.time + UInt64($0.count) * 1024 } ?? 0
        }
        return weights.indices.min { weights[$0] < weights[$1] } ?? 0
    }

    private mutating func write(_ address: IPAddress, _ shape: Shape, _ slot: Int, count: UInt8, time: UInt64) -> Range<Int> {
        let start = shape.offset(slot)
        bytes.replaceSubrange(start..<start + shape.address, with: address.bytes)
        bytes[start + shape.count] = count
        bytes.overwrite(number: UInt32(clamping: time), at: start + shape.time)
        return start..<start + shape.record
    }
}
