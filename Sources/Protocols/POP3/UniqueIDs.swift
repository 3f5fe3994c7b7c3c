private import Bytes

/// Unique-ids of the messages of a maildrop (RFC 1939 §7, UIDL): 1 to 70 bytes of 0x21…0x7E, each once, the same in every session.
///
/// They are the names of the messages, as qmail-pop3d has them. Whoever delivers or files mail chooses names, so one that cannot stand for itself is
/// written as `=` and a check of it.
package enum UniqueIDs {
    static let maxBytes = 70
    private static let mark = ASCII.equals

    /// - Parameter names: without folder, and without what a reader changes.
    package static func of(_ names: [[UInt8]]) -> [[UInt8]] {
        var taken: [[UInt8]: Int] = [:]
        taken.reserveCapacity(names.count)
        return names.map { name in
            // A slash is in no name: a second message of the same name gets what no other can have.
            let copies = taken[name, default: 0]
            taken[name] = copies + 1
            if copies > 0 { return encoded(name + "/\(copies)".utf8) }
            return standsForItself(name) ? name : encoded(name)
        }
    }

    private static func standsForItself(_ name: [UInt8]) -> Bool {
        !name.isEmpty && name.count <= maxBytes && name.first != mark && name.allSatisfy(\.isGraphic)
    }

    /// 128 bits of FNV-1a, in hexadecimal digits.
    private static func encoded(_ name: [UInt8]) -> [UInt8] {
        let prime = UInt128(1) << 88 | 0x13B
        var hash = UInt128(0x6C62_272E_07BB_0142) << 64 | 0x62B8_2175_6295_C58D
        for byte in name { hash = (hash ^ UInt128(byte)) &* prime }
        let digits = String(hash, radix: 16)
        return [mark] + Array(String(repeating: "0", count: 32 - digits.utf8.count).utf8) + Array(digits.utf8)
    }
}
