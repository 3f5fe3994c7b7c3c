internal import Addresses
private import Bytes

/// The first bits of an address: a network, or with all its bits one host.
struct AddressPrefix: Equatable, Sendable {
    /// 4 or 16.
    let bytes: [UInt8]
    /// 0…32 or 0…128
    let length: Int

    /// `192.0.2.0/24`, `2001:db8::/32`, or an address alone.
    init?(_ text: ArraySlice<UInt8>) {
        let parts = text.split(separator: ASCII.slash, omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 2, first.first != ASCII.leftBracket, let address = IPLiteral.parse(first) else { return nil }
        bytes = address.bytes
        if parts.count == 2 {
            guard let length = parseDecimal(parts[1], maxDigits: 3), length <= UInt64(address.bytes.count * 8) else { return nil }
            self.length = Int(length)
        } else {
            length = address.bytes.count * 8
        }
    }

    func contains(_ address: [UInt8]) -> Bool {
        guard address.count == bytes.count else { return false }
        let whole = length / 8
        guard bytes[..<whole].elementsEqual(address[..<whole]) else { return false }
        return length % 8 == 0 || (bytes[whole] ^ address[whole]) >> UInt8(8 - length % 8) == 0
    }
}

extension AddressPrefix: CustomStringConvertible {
    var description: String { "[\(IPAddress(bytes)?.description ?? "")/\(length)]" }
}
