private import Bytes

/// An address of the Internet: 4 or 16 bytes in network order.
package struct IPAddress: Hashable, Sendable {
    package let bytes: [UInt8]

    /// - Returns: nil unless there are 4 or 16 bytes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = Array(bytes)
    }

    /// An IPv4 client of an IPv6 socket (`::ffff:192.0.2.1`) is an IPv4 client.
    package init?(unmapped bytes: some Collection<UInt8>) {
        let all = Array(bytes)
        let isMapped = all.count == 16 && all[..<10].allSatisfy { $0 == 0 } && all[10] == 0xFF && all[11] == 0xFF
        self.init(isMapped ? Array(all[12...]) : all)
    }

    package var isV6: Bool { bytes.count == 16 }

    /// `d.d.d.d`, each 0…255 in at most three digits. Nil for anything else.
    package init?(dotted text: some Collection<UInt8>) {
        var parts: [UInt8] = []
        for part in text.split(separator: ASCII.dot, omittingEmptySubsequences: false) {
            guard let number = parseDecimal(part, maxDigits: 3), number <= 255, parts.count < 4 else { return nil }
            parts.append(UInt8(number))
        }
        guard parts.count == 4 else { return nil }
        bytes = parts
    }
}

extension IPAddress: CustomStringConvertible {
    /// `192.0.2.1`, or the canonical form of RFC 5952.
    package var description: String {
        guard isV6 else { return bytes.map { String($0) }.joined(separator: ".") }
        let groups = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        // The longest run of two or more zero groups, the first of equals, becomes "::".
        var best = 0..<0
        var index = 0
        while index < 8 {
            var end = index
            while end < 8, groups[end] == 0 { end += 1 }
            if end - index > max(best.count, 1) { best = index..<end }
            index = max(end, index + 1)
        }
        let hex = { (part: ArraySlice<UInt16>) in part.map { String($0, radix: 16) }.joined(separator: ":") }
        return best.isEmpty ? hex(groups[...]) : hex(groups[..<best.lowerBound]) + "::" + hex(groups[best.upperBound...])
    }
}
