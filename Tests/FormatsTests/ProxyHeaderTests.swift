import Addresses
import Bytes
import ProxyProtocol
import Testing

/// HAProxy's proxy-protocol.txt.
@Suite struct ProxyHeaderTests {
    private static func address(_ text: String) -> IPAddress? { IPLiteral.parse(Array(text.utf8)[...]) }

    private static func proxied(_ client: String, _ server: String) throws -> ProxyHeader {
        .proxied(client: try #require(address(client)), server: try #require(address(server)))
    }

    private static func binary(_ command: UInt8, _ family: UInt8, _ content: [UInt8], length: Int? = nil) -> [UInt8] {
        let length = length ?? content.count
        return [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x20 | command, family, UInt8(length >> 8), UInt8(length & 255)] + content
    }

    private static let v4: [UInt8] = [192, 0, 2, 1, 203, 0, 113, 9, 1, 2, 3, 4]
    private static let v6: [UInt8] =
        [0x20, 1, 0xD, 0xB8] + [UInt8](repeating: 0, count: 11) + [1] + [UInt8](repeating: 0, count: 15) + [1, 1, 2, 3, 4]

    @Test func whole() throws {
        let cases: [([UInt8], ProxyHeader)] = [
            (Array("PROXY TCP4 192.0.2.1 203.0.113.9 1 65535\r\n".utf8), try Self.proxied("192.0.2.1", "203.0.113.9")),
            (Array("PROXY TCP6 2001:db8::1 ::1 0 25\r\n".utf8), try Self.proxied("2001:db8::1", "::1")),
            (Array("PROXY TCP6 ::ffff:192.0.2.1 ::1 0 25\r\n".utf8), try Self.proxied("192.0.2.1", "::1")),
            (Array("PROXY UNKNOWN\r\n".utf8), .local), (Array("PROXY UNKNOWN ffff::1 x\r\n".utf8), .local),
            (Self.binary(1, 0x11, Self.v4), try Self.proxied("192.0.2.1", "203.0.113.9")),
            (Self.binary(1, 0x11, Self.v4 + [3, 0, 1, 0]), try Self.proxied("192.0.2.1", "203.0.113.9")),
            (Self.binary(1, 0x21, Self.v6), try Self.proxied("2001:db8::1", "::1")), (Self.binary(0, 0, []), .local),
            (Self.binary(0, 0x11, Self.v4), .local), (Self.binary(1, 0x00, []), .local),
            (Self.binary(1, 0x31, [UInt8](repeating: 65, count: 216)), .local),
        ]
        for (bytes, header) in cases {
            #expect(ProxyHeader.read(bytes) == .header(header, length: bytes.count), "\(bytes.text)")
            #expect(ProxyHeader.read(bytes + Array("EHLO c\r\n".utf8)) == .header(header, length: bytes.count))
            for count in 0..<bytes.count { #expect(ProxyHeader.read(Array(bytes[..<count])) == .incomplete, "\(bytes.text) \(count)") }
        }
    }

    @Test(arguments: [
        "PROXY TCP4 192.0.2.1 203.0.113.9 1 65536\r\n", "PROXY TCP4 192.0.2.1 203.0.113.9 1\r\n", "PROXY TCP4 192.0.2.1 203.0.113.9 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.9 -1 2\r\n", "PROXY TCP4 192.0.2 203.0.113.9 1 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 ::1 1 2\r\n", "PROXY tcp4 192.0.2.1 203.0.113.9 1 2\r\n", "PROXY \r\n", "PROXY\r\n", "PROXZ", "\r\n\r\n\r",
        "EHLO c\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.9 1 2\n", "PROXY TCP4 192.0.2.1  203.0.113.9 1 2\r\n", "PROXY TCP4 [192.0.2.1] 203.0.113.9 1 2\r\n", "\0",
    ]) func malformedText(_ text: String) {
        #expect(ProxyHeader.read(Array(text.utf8)) == .malformed)
    }

    @Test func malformedBinary() {
        for bytes in [
            Self.binary(2, 0x11, Self.v4), Self.binary(1, 0x41, Self.v4), Self.binary(1, 0x13, Self.v4), Self.binary(1, 0x12, Self.v4),
            Self.binary(1, 0x11, Array(Self.v4.dropLast())), Self.binary(1, 0x21, Self.v4), Self.binary(0x11, 0x11, Self.v4),
            Self.binary(0, 0, [], length: ProxyHeader.maxBytes - 15), Self.binary(1, 0x11, [], length: 65535),
        ] { #expect(ProxyHeader.read(bytes) == .malformed) }
    }

    /// §2.1: 107 bytes with CRLF, never more; of version 2 what it announces, within bounds.
    @Test func lengths() {
        func unknown(_ count: Int) -> [UInt8] { Array("PROXY UNKNOWN".utf8) + [UInt8](repeating: 0x78, count: count - 15) + [13, 10] }
        #expect(ProxyHeader.read(unknown(107)) == .malformed, "UNKNOWNxxx is no word of it")
        let spaced = Array("PROXY UNKNOWN ".utf8)
        func filled(_ count: Int) -> [UInt8] { spaced + [UInt8](repeating: 0x78, count: count - spaced.count - 2) + [13, 10] }
        #expect(ProxyHeader.read(filled(107)) == .header(.local, length: 107))
        #expect(ProxyHeader.read(filled(108)) == .malformed)
        #expect(ProxyHeader.read(Array(filled(108)[..<106])) == .incomplete)
        #expect(ProxyHeader.read([UInt8](repeating: 0x50, count: 200)) == .malformed)
        let most = Self.binary(0, 0, [UInt8](repeating: 0, count: ProxyHeader.maxBytes - 16))
        #expect(ProxyHeader.read(most) == .header(.local, length: ProxyHeader.maxBytes))
    }

    /// Any change of any byte is read or refused, never more than what came.
    @Test func damagedBytes() {
        for whole in [Array("PROXY TCP4 192.0.2.1 203.0.113.9 1 2\r\n".utf8), Self.binary(1, 0x11, Self.v4), Self.binary(1, 0x21, Self.v6)] {
            for index in whole.indices {
                for byte in UInt8.min...UInt8.max {
                    var damaged = whole
                    damaged[index] = byte
                    if case .header(_, let length) = ProxyHeader.read(damaged) { #expect(length <= damaged.count) }
                }
            }
        }
    }
}
