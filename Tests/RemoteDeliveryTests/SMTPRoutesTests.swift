import Addresses
import Bytes
import RemoteDelivery
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

private func relay(_ host: String, _ port: UInt16 = 25) -> SMTPRoutes.Route { .relay(SMTPRoutes.Relay(host: bytes(host), port: port)) }

@Suite struct SMTPRoutesTests {
    static let routes = SMTPRoutes([
        bytes("example.org"): bytes("relay.example"), bytes(".example.org"): bytes("sub.example:2525"), bytes(".deep.example.org"): bytes(""),
        bytes("v6.example"): bytes("[::1]:2526"), bytes("v6only.example"): bytes("[2001:db8::1]"), bytes("v4.example"): bytes("[192.0.2.1]:26"),
        bytes("[1.2.3.4]"): bytes("literal.example"), bytes("port.example"): bytes("h:587 and more"),
    ])

    /// spec-qmail §14.3.
    @Test(arguments: [
        ("example.org", relay("relay.example")), ("EXAMPLE.Org", relay("relay.example")), ("a.example.org", relay("sub.example", 2525)),
        ("a.b.example.org", relay("sub.example", 2525)), ("a.deep.example.org", .exchangers), ("other.example", .exchangers),
        ("xexample.org", .exchangers), ("v6.example", relay("[::1]", 2526)), ("v6only.example", relay("[2001:db8::1]")),
        ("v4.example", relay("[192.0.2.1]", 26)), ("[1.2.3.4]", relay("literal.example")), ("port.example", relay("h", 587)),
    ])
    func firstHitFromTheLongest(_ host: String, _ route: SMTPRoutes.Route) {
        #expect(Self.routes.route(for: bytes(host)[...]) == route)
        #expect(Self.routes.invalidKey == nil)
    }

    @Test func theEmptyKeyTakesTheRest() {
        let routes = SMTPRoutes([[]: bytes("smart.example"), bytes("direct.example"): []])
        #expect(routes.route(for: bytes("any.example")[...]) == relay("smart.example"))
        #expect(routes.route(for: bytes("direct.example")[...]) == .exchangers)
    }

    @Test(arguments: ["h:", "h:0", "h:65536", "h:-1", ":25", "[::1]:x"]) func valuesThatAreNoRoutes(_ value: String) {
        #expect(SMTPRoutes([bytes("a"): bytes(value)]).invalidKey == bytes("a"))
    }
}

@Suite struct IPLiteralTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("[192.0.2.1]", "192.0.2.1"), ("::1", "::1"), ("[::1]", "::1"), ("[IPv6:2001:db8::1]", "2001:db8::1"),
        ("[ipv6:::]", "::"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("::ffff:192.0.2.1", "::ffff:c000:201"), ("fe80::", "fe80::"),
        ("1::8", "1::8"), ("2001:DB8::A", "2001:db8::a"),
    ])
    func addresses(_ text: String, _ canonical: String) {
        #expect(IPLiteral.parse(bytes(text)[...])?.description == canonical)
    }

    @Test(arguments: [
        "", "[", "[]", "example.org", "[example.org]", "1.2.3", "1.2.3.4.5", "1.2.3.256", "[1.2.3.4", "1.2.3.4]", ":", ":::", "1:2", "1::2::3",
        "12345::", "g::", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "[IPv6:1.2.3.4]", "::1.2.3.256", "1.2.3.4::", "::1%lo",
    ])
    func others(_ text: String) {
        #expect(IPLiteral.parse(bytes(text)[...]) == nil)
    }
}

@Suite struct AddressPolicyTests {
    @Test(arguments: [
        ("192.0.2.1", AddressPolicy.Verdict.usable), ("10.0.0.1", .usable), ("2001:db8::1", .usable), ("fc00::1", .usable),
        ("0.0.0.0", .ourselves), ("0.1.2.3", .ourselves), ("127.0.0.1", .ourselves), ("127.255.0.1", .ourselves), ("::", .ourselves),
        ("::1", .ourselves), ("198.51.100.7", .ourselves), ("2001:db8::7", .ourselves), ("::ffff:127.0.0.1", .ourselves),
        ("::ffff:198.51.100.7", .ourselves), ("::ffff:192.0.2.1", .unusable), ("::192.0.2.1", .unusable), ("169.254.1.1", .unusable),
        ("224.0.0.1", .unusable), ("239.1.1.1", .unusable), ("255.255.255.255", .unusable), ("fe80::1", .unusable), ("febf::1", .unusable),
        ("ff02::1", .unusable), ("::2", .ourselves),
    ])
    func judges(_ address: String, _ verdict: AddressPolicy.Verdict) throws {
        let own = ["198.51.100.7", "2001:db8::7"].compactMap { IPLiteral.parse(bytes($0)[...]) }
        let parsed = try #require(IPLiteral.parse(bytes(address)[...]))
        #expect(AddressPolicy(own: Set(own)).judge(parsed) == verdict)
    }
}
