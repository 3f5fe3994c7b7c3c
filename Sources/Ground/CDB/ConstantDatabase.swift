package import Posix

/// A constant database of djb's format (spec-qmail §6.4), read with every position checked: a damaged file is an error, never a crash.
///
/// It must not know whose keys and values it finds: `users/cdb` and `morercpthosts.cdb` are understood by those who read them.
package final class ConstantDatabase: Sendable {
    package enum Failure: Error, Equatable {
        /// The file breaks the format.
        case damaged
    }

    private let bytes: [UInt8]

    private static let headerBytes = 2048
    /// A database is kept in memory whole, as it was when it was opened: whatever is done to the file meanwhile, nobody is torn away under a reader.
    package static let maxBytes = 1 << 30

    /// Reads the file at `path`; nil when it does not exist.
    package static func open(_ path: String) throws(SystemError) -> ConstantDatabase? {
        try readSmallFile(path, maxBytes: maxBytes).map(ConstantDatabase.init)
    }

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The data of the first record with `key`, nil when there is none.
    package func value(of key: some Collection<UInt8>) throws(Failure) -> [UInt8]? {
        let key = Array(key)
        let hash = ConstantDatabase.hash(key)
        let table = Int(hash & 255) * 8
        let tableStart = Int(try number(at: table))
        let slots = Int(try number(at: table + 4))
        guard slots > 0 else { return nil }
        guard slots <= bytes.count / 8 else { throw .damaged }
        let first = Int(hash >> 8) % slots
        for probe in 0..<slots {
            let slot = tableStart + (first + probe) % slots * 8
            let position = Int(try number(at: slot + 4))
            guard position != 0 else { return nil }
            guard try number(at: slot) == hash else { continue }
            let keyLength = Int(try number(at: position))
            let dataLength = Int(try number(at: position + 4))
            guard keyLength == key.count else { continue }
            guard try slice(at: position + 8, count: keyLength).elementsEqual(key) else { continue }
            return Array(try slice(at: position + 8 + keyLength, count: dataLength))
        }
        return nil
    }

    package static func hash(_ key: [UInt8]) -> UInt32 {
        key.reduce(5381) { hash, byte in (hash << 5 &+ hash) ^ UInt32(byte) }
    }

    private func number(at offset: Int) throws(Failure) -> UInt32 {
        try slice(at: offset, count: 4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    private func slice(at offset: Int, count: Int) throws(Failure) -> ArraySlice<UInt8> {
        // Numbers of the file are below 2^32, so that no sum here can overflow.
        guard bytes.count >= Self.headerBytes, offset >= 0, count >= 0, offset + count <= bytes.count else { throw .damaged }
        return bytes[offset..<(offset + count)]
    }
}
