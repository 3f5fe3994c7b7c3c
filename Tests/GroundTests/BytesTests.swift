import Bytes
import Testing

@Suite struct DecimalTests {
    @Test(
        arguments: [("0", 0), ("1", 1), ("00", 0), ("007", 7), ("2147483648", 2_147_483_648), ("9223372036854775808", 9_223_372_036_854_775_808)]
            as [(String, UInt64)])
    func accepts(_ text: String, _ value: UInt64) { #expect(parseDecimal(Array(text.utf8)) == value) }

    @Test(arguments: ["", "-1", "+1", " 1", "1 ", "1x", "99999999999999999999", String(repeating: "1", count: 40)])
    func refuses(_ text: String) { #expect(parseDecimal(Array(text.utf8)) == nil) }

    @Test func theLargestValueFits() {
        #expect(parseDecimal(Array("18446744073709551615".utf8), maxDigits: 20) == .max)
        #expect(parseDecimal(Array("18446744073709551616".utf8), maxDigits: 20) == nil)
    }

    @Test func leadingDigitsOnly() {
        #expect(parseLeadingDecimal(Array("12abc".utf8)) == 12)
        #expect(parseLeadingDecimal(Array("abc".utf8)) == nil)
        #expect(parseLeadingDecimal(Array("-5".utf8)) == nil)
    }
}

@Suite struct CRC32CTests {
    /// RFC 3720 appendix B.4.
    @Test func knownValues() {
        #expect(CRC32C.of([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(CRC32C.of([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(CRC32C.of(Array(0..<32)) == 0x46DD_794E)
        #expect(CRC32C.of(Array("123456789".utf8)) == 0xE306_9283)
    }

    @Test func continuesAcrossParts() {
        let bytes = (0..<100).map { UInt8($0) }
        for cut in 0...100 {
            var check = CRC32C()
            check.update(bytes[..<cut])
            check.update(bytes[cut...])
            #expect(check.value == CRC32C.of(bytes))
        }
    }
}

@Suite struct ByteReaderTests {
    @Test func readsBackWhatWasWritten() {
        var bytes: [UInt8] = []
        bytes.append(number: UInt16(0xBEEF))
        bytes.append(counted: Array("abc".utf8))
        bytes.append(longCounted: [])
        bytes.append(number: UInt64.max)
        var reader = ByteReader(bytes)
        #expect(reader.number(UInt16.self) == 0xBEEF)
        #expect(reader.counted().map(Array.init) == Array("abc".utf8))
        #expect(reader.longCounted()?.isEmpty == true)
        #expect(reader.number(UInt64.self) == .max)
        #expect(reader.isAtEnd)
        #expect(reader.byte() == nil)
    }

    @Test func aShortReadConsumesNothing() {
        var reader = ByteReader([5, 0, 1, 2])
        #expect(reader.counted() == nil)
        #expect(reader.longCounted() == nil)
        #expect(reader.number(UInt64.self) == nil)
        #expect(reader.rest.count == 4)
    }
}
