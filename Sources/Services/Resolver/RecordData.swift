package import Addresses
private import Bytes
package import Frames

/// The RDATA of single records. Everything in it comes from strangers: each length is checked, what does not fit is nil.
package enum RecordData {
    /// RFC 1035 §3.3.9: preference and exchanger, the latter uncompressed, as libunbound hands it over.
    package static func exchanger(_ data: ArraySlice<UInt8>) -> NameLookup.Exchanger? {
        guard data.count >= 3, let high = data.first, let low = data.dropFirst().first,
            let name = DomainName.text(ofWire: data.dropFirst(2))
        else { return nil }
        return NameLookup.Exchanger(preference: UInt16(high) << 8 | UInt16(low), name: name[...])
    }

    /// RFC 1035 §3.4.1 (A) and RFC 3596 §2.2 (AAAA).
    package static func address(_ data: ArraySlice<UInt8>) -> IPAddress? { IPAddress(data) }

    /// RFC 1035 §3.3.14 (TXT): the strings put together.
    package static func text(_ data: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var reader = ByteReader(data)
        var text: [UInt8] = []
        while let length = reader.byte() {
            guard let part = reader.bytes(Int(length)) else { return nil }
            text += part
        }
        return text.count <= NameLookup.Result.maxText ? text[...] : nil
    }
}

/// A whole DNS message, looked through for what libunbound does not say.
package enum AnswerPacket {
    private static let headerLength = 12
    private static let aliasType: UInt16 = 5

    /// How many CNAME records the answer section has; nil when the packet is damaged.
    package static func aliasCount(_ packet: ArraySlice<UInt8>) -> Int? {
        var reader = ByteReader(packet)
        guard let header = reader.bytes(headerLength) else { return nil }
        let counts = Array(header.suffix(8))
        for _ in 0..<number(counts, 0) {
            guard skipName(&reader), reader.bytes(4) != nil else { return nil }
        }
        var aliases = 0
        for _ in 0..<number(counts, 2) {
            guard skipName(&reader), let fixed = reader.bytes(10).map({ Array($0) }), reader.bytes(number(fixed, 8)) != nil else { return nil }
            if number(fixed, 0) == Int(aliasType) { aliases += 1 }
        }
        return aliases
    }

    private static func number(_ bytes: [UInt8], _ offset: Int) -> Int { Int(bytes[offset]) << 8 | Int(bytes[offset + 1]) }

    /// A compression pointer ends a name (RFC 1035 §4.1.4), so pointers need not be followed to get past one.
    private static func skipName(_ reader: inout ByteReader) -> Bool {
        while let length = reader.byte() {
            if length == 0 { return true }
            if length >= 0xC0 { return reader.byte() != nil }
            guard length < 0x40, reader.bytes(Int(length)) != nil else { return false }
        }
        return false
    }
}
