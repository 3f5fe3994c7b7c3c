import Frames
import Resolver
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// Labels in wire form, with the root at the end.
private func wire(_ labels: String...) -> [UInt8] { labels.flatMap { [UInt8($0.utf8.count)] + bytes($0) } + [0] }

@Suite struct RecordDataTests {
    @Test func exchangers() {
        let found = RecordData.exchanger(([0x01, 0x02] + wire("mx1", "example", "org"))[...])
        #expect(found == NameLookup.Exchanger(preference: 258, name: bytes("mx1.example.org")[...]))
        #expect(RecordData.exchanger([0, 0, 0][...]) == NameLookup.Exchanger(preference: 0, name: []), "the null MX")
    }

    /// hardening.md "DNS": short MX records have crashed servers.
    @Test(
        arguments: [
            [], [0], [0, 1], [0, 1, 3], [0, 1, 3, 0x61], [0, 1, 3, 0x61, 0x61, 0x61], [0, 1, 0xC0, 0x0C], [0, 1, 0x40, 0x61, 0],
            [0, 1] + wire("a") + [0], [0, 1] + wire("a b"), [0, 1] + wire("a\n"), [0, 1] + wire("a\u{0}"), [0, 1] + wire("a.b"), [0, 1] + wire("a>"),
            [0, 1] + wire("\u{E9}"), [0, 1, 64] + [UInt8](repeating: 0x61, count: 64) + [0],
            [0, 1] + (0..<127).flatMap { _ in [UInt8(1), UInt8(0x61)] } + [2, 0x61, 0x61, 0],
        ] as [[UInt8]])
    func refused(_ data: [UInt8]) {
        #expect(RecordData.exchanger(data[...]) == nil)
    }

    @Test func theLongestName() {
        let label = String(repeating: "x", count: 63)
        let longest = [UInt8(0), 1] + wire(label, label, label, String(repeating: "y", count: 61))
        #expect(RecordData.exchanger(longest[...])?.name.count == 253)
    }

    @Test func addresses() {
        #expect(RecordData.address([192, 0, 2, 1][...])?.description == "192.0.2.1")
        #expect(RecordData.address([UInt8](repeating: 0, count: 15)[...] + [1])?.description == "::1")
        for count in [0, 3, 5, 15, 17] { #expect(RecordData.address([UInt8](repeating: 1, count: count)[...]) == nil) }
    }
}

@Suite struct DomainNameTests {
    @Test(arguments: ["example.org", "a", "_dmarc.example", "xn--bcher-kva.example", "1.2.3.4", "A-b.C"]) func askable(_ name: String) {
        #expect(DomainName.isAskable(bytes(name)[...]))
    }

    @Test(arguments: ["", ".", "a.", ".a", "a..b", "a b", "b\u{FC}cher.example", "[1.2.3.4]", "a\u{0}", "a@b", "*.a"]) func notAskable(_ name: String)
    {
        #expect(!DomainName.isAskable(bytes(name)[...]))
    }

    @Test func lengths() {
        let label = [UInt8](repeating: 0x61, count: 63)
        #expect(DomainName.isAskable(label[...]) && !DomainName.isAskable((label + [0x61])[...]))
        let long = Array([label, label, label, [UInt8](repeating: 0x61, count: 61)].joined(separator: [0x2E]))
        #expect(long.count == 253 && DomainName.isAskable(long[...]) && !DomainName.isAskable((long + [0x61])[...]))
    }
}

@Suite struct AnswerPacketTests {
    /// Two aliases and an address; the owners of the last two are compressed.
    static let packet: [UInt8] = {
        let header: [UInt8] = [0, 1, 0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0]
        let question = wire("a", "test") + [0, 1, 0, 1]
        let first = wire("a", "test") + [0, 5, 0, 1, 0, 0, 0, 60, 0, 8] + wire("b", "test")
        let second: [UInt8] = [0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xC0, 12]
        let third: [UInt8] = [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]
        return header + question + first + second + third
    }()

    @Test func countsAliases() { #expect(AnswerPacket.aliasCount(Self.packet[...]) == 2) }

    @Test func aCutPacketIsDamaged() {
        for length in 0..<Self.packet.count { #expect(AnswerPacket.aliasCount(Self.packet[..<length]) == nil) }
    }

    @Test func anyOneWrongByteIsSurvived() {
        for index in Self.packet.indices {
            for value in [UInt8(0), 1, 0x3F, 0x40, 0x7F, 0x80, 0xC0, 0xFF] {
                var packet = Self.packet
                packet[index] = value
                if let count = AnswerPacket.aliasCount(packet[...]) { #expect((0...3).contains(count)) }
            }
        }
    }
}
