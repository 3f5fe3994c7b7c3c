private import Bytes

/// Names as DNS carries them (RFC 1035 §3.1), and which of them are names of hosts.
package enum DomainName {
    /// RFC 1035 §2.3.4.
    static let maxLabel = 63
    /// As text, without the dot at the end.
    static let maxText = 253

    /// The text of a name in wire form that fills `wire` exactly; empty for the root.
    /// - Returns: nil when it is cut, too long, compressed, or holds what no host name does: such a name is nobody's mail host, and no
    ///   place that prints it has to fear it.
    package static func text(ofWire wire: ArraySlice<UInt8>) -> [UInt8]? {
        var reader = ByteReader(wire)
        var text: [UInt8] = []
        while let length = reader.byte() {
            if length == 0 { return reader.isAtEnd && text.count <= maxText ? text : nil }
            guard Int(length) <= maxLabel, let label = reader.bytes(Int(length)), label.allSatisfy(isHostByte) else { return nil }
            if !text.isEmpty { text.append(ASCII.dot) }
            text += label
        }
        return nil
    }

    /// Whether `text` can be asked for: labels of host bytes between single dots.
    package static func isAskable(_ text: ArraySlice<UInt8>) -> Bool {
        !text.isEmpty && text.count <= maxText
            && text.split(separator: ASCII.dot, omittingEmptySubsequences: false).allSatisfy {
                !$0.isEmpty && $0.count <= maxLabel && $0.allSatisfy(isHostByte)
            }
    }

    /// Letters, digits, hyphen; the underscore too, which some real hosts have.
    private static func isHostByte(_ byte: UInt8) -> Bool {
        byte.isLetter || byte.isDigit || byte == ASCII.hyphen || byte == ASCII.underscore
    }
}
