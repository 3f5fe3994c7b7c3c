private import Addresses
private import Bytes

/// The first `length` bits of an IPv6 address: RFC 4291 §2.2 and §2.3, without the dotted form at the end.
struct IPv6Prefix: Equatable, Sendable {
    let bytes: [UInt8]
    /// 0…128
    let length: Int

    /// `2001:db8::1` or `2001:db8::/32`.
    init?(_ text: ArraySlice<UInt8>) {
        let parts = text.split(separator: ASCII.slash, omittingEmptySubsequences: false)
        guard let address = parts.first, parts.count <= 2, let bytes = IPv6Prefix.address(address) else { return nil }
        self.bytes = bytes
        if parts.count == 2 {
            guard let length = parseDecimal(parts[1], maxDigits: 3), length <= 128 else { return nil }
            self.length = Int(length)
        } else {
            length = 128
        }
    }

    func contains(_ address: [UInt8]) -> Bool {
        guard address.count == 16 else { return false }
        let whole = length / 8
        guard bytes[..<whole].elementsEqual(address[..<whole]) else { return false }
        return length % 8 == 0 || (bytes[whole] ^ address[whole]) >> UInt8(8 - length % 8) == 0
    }

    private static func address(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var halves: [[UInt16]] = [[]]
        var parts = text.split(separator: ASCII.colon, omittingEmptySubsequences: false)[...]
        // A lone colon at an end is nothing; `::` leaves an empty part, and at an end two.
        guard text.first != ASCII.colon || text.starts(with: "::".utf8), text.last != ASCII.colon || text.suffix(2).elementsEqual("::".utf8)
        else { return nil }
        if parts.count > 2, parts.first?.isEmpty == true, parts.dropFirst().first?.isEmpty == true { parts = parts.dropFirst() }
        if parts.count > 1, parts.last?.isEmpty == true, parts.dropLast().last?.isEmpty == true { parts = parts.dropLast() }
        for part in parts {
            if part.isEmpty {
                halves.append([])
            } else {
                guard let group = hexGroup(part) else { return nil }
                halves[halves.count - 1].append(group)
            }
        }
        let given = halves.reduce(0) { $0 + $1.count }
        guard halves.count == 2 ? given < 8 : halves.count == 1 && given == 8 else { return nil }
        let groups = halves[0] + [UInt16](repeating: 0, count: 8 - given) + (halves.count == 2 ? halves[1] : [])
        return groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
    }

    private static func hexGroup(_ text: ArraySlice<UInt8>) -> UInt16? {
        guard text.count <= 4 else { return nil }
        var value: UInt16 = 0
        for byte in text {
            guard let digit = byte.isDigit ? byte - ASCII.zero : byte.isLetter && byte | 0x20 <= 0x66 ? (byte | 0x20) - 0x57 : nil else { return nil }
            value = value << 4 | UInt16(digit)
        }
        return value
    }
}

extension IPv6Prefix: CustomStringConvertible {
    var description: String { "[\(IPAddress(bytes)?.description ?? "")/\(length)]" }
}
