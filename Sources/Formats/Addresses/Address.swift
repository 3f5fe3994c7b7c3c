private import Bytes

/// An envelope address as bytes, `local@domain`, unquoted as qmail keeps it: `"a b"@example.org` on the wire is `a b@example.org` here.
///
/// It holds no CR, LF or NUL, so that no serialised form (SMTP, journal, environment, header, log) can be broken by one.
/// It may lack the `@` (qmail resolves that by `envnoathost`) and may be empty (the null reverse-path).
///
/// Module `Addresses` is the vocabulary of envelopes. It must not know which domains are ours, nor how SMTP writes a command.
package struct Address: Hashable, Sendable {
    package let bytes: [UInt8]

    /// RFC 5321 §4.5.3.1.3 allows a path of 256; qmail takes 1,002 bytes (spec-qmail §1.4).
    package static let maxBytes = 1002

    /// - Returns: nil when `bytes` holds CR, LF or NUL, or is longer than ``maxBytes``.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count <= Address.maxBytes else { return nil }
        // Copied first: the scan of a concrete array is many times faster than that of a collection known only by its protocol.
        let copy = Array(bytes)
        guard !copy.contains(where: { $0 == ASCII.nul || $0 == ASCII.cr || $0 == ASCII.lf }) else { return nil }
        self.bytes = copy
    }

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    /// The null reverse-path `<>`: the sender of bounces.
    package static let null = Address(unchecked: [])
    /// The sender of double bounces, `#@[]` (spec-qmail §8.1).
    package static let doubleBounce = Address(unchecked: Array("#@[]".utf8))

    package var isNull: Bool { bytes.isEmpty }
    package var isDoubleBounce: Bool { self == .doubleBounce }

    private var atSign: Int? { bytes.lastIndex(of: ASCII.at) }

    /// Before the last `@`; all of it when there is none.
    package var localPart: ArraySlice<UInt8> { bytes[..<(atSign ?? bytes.endIndex)] }

    /// After the last `@`; nil when there is none.
    package var domain: ArraySlice<UInt8>? { atSign.map { bytes[($0 + 1)...] } }

    package var isASCII: Bool { bytes.allSatisfy { $0 < 0x80 } }

    /// As it stands in a path between `<` and `>`: the local part quoted where it must be, the domain never (spec-qmail appendix A).
    package var quoted: [UInt8] {
        guard !bytes.isEmpty else { return [] }
        let local = localPart
        guard Address.needsQuoting(local) else { return bytes }
        var result: [UInt8] = [ASCII.quote]
        for byte in local {
            if byte == ASCII.quote || byte == ASCII.backslash { result.append(ASCII.backslash) }
            result.append(byte)
        }
        result.append(ASCII.quote)
        return result + bytes[local.endIndex...]
    }

    /// spec-qmail appendix A: as is only when it is a dot-atom of ASCII.
    package static func needsQuoting(_ local: ArraySlice<UInt8>) -> Bool {
        guard let first = local.first, let last = local.last, first != ASCII.dot, last != ASCII.dot else { return true }
        var previous: UInt8 = 0
        for byte in local {
            guard byte == ASCII.dot || byte.isAtomText, !(byte == ASCII.dot && previous == ASCII.dot) else { return true }
            previous = byte
        }
        return false
    }
}

extension Address: CustomStringConvertible {
    /// For messages to people.
    package var description: String { bytes.text }
}

extension UInt8 {
    /// `atext` of RFC 5322 §3.2.3.
    package var isAtomText: Bool {
        if isLetter || isDigit { return true }
        switch self {
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2F, 0x3D, 0x3F, 0x5E, 0x5F, 0x60, 0x7B...0x7E: return true
        default: return false
        }
    }
}
