private import Bytes

/// Addresses as they stand in host names, routes and exchangers.
package enum IPLiteral {
    /// `192.0.2.1`, `2001:db8::1`, either in brackets, the latter also as `[IPv6:…]` (RFC 5321 §4.1.3). Nil for a name.
    package static func parse(_ text: ArraySlice<UInt8>) -> IPAddress? {
        guard text.first == ASCII.leftBracket else { return bare(text) }
        guard text.last == ASCII.rightBracket else { return nil }
        let inner = text.dropFirst().dropLast()
        return inner.hasPrefixIgnoringCase("ipv6:") ? v6(inner.dropFirst(5)) : bare(inner)
    }

    private static func bare(_ text: ArraySlice<UInt8>) -> IPAddress? { IPAddress(dotted: text) ?? v6(text) }

    /// RFC 4291 §2.2: eight groups, one run of zeros as `::`, the last two perhaps as an IPv4 address.
    private static func v6(_ text: ArraySlice<UInt8>) -> IPAddress? {
        guard text.contains(ASCII.colon), text.count <= 45 else { return nil }
        guard let gap = firstGap(text) else {
            return groups(text).flatMap { $0.count == 16 ? IPAddress($0) : nil }
        }
        guard let head = groups(text[..<gap], mayEndInV4: false), let tail = groups(text[(gap + 2)...]), head.count + tail.count <= 14
        else { return nil }
        return IPAddress(head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail)
    }

    private static func firstGap(_ text: ArraySlice<UInt8>) -> Int? {
        text.indices.dropLast().first { text[$0] == ASCII.colon && text[$0 + 1] == ASCII.colon }
    }

    /// The bytes of groups between colons; nil when one is no group.
    private static func groups(_ text: ArraySlice<UInt8>, mayEndInV4: Bool = true) -> [UInt8]? {
        guard !text.isEmpty else { return [] }
        var bytes: [UInt8] = []
        let parts = text.split(separator: ASCII.colon, omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if mayEndInV4, index == parts.count - 1, let v4 = IPAddress(dotted: part) {
                bytes += v4.bytes
            } else {
                guard let value = hexadecimal(part) else { return nil }
                bytes += [UInt8(value >> 8), UInt8(value & 0xFF)]
            }
        }
        return bytes.count <= 16 ? bytes : nil
    }

    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt16? {
        guard (1...4).contains(digits.count) else { return nil }
        return digits.reduce(UInt16?.some(0)) { sum, byte in
            guard let sum, let digit = Character(UnicodeScalar(byte)).hexDigitValue else { return nil }
            return sum << 4 | UInt16(digit)
        }
    }
}
