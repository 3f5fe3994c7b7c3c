import Addresses
import Bytes
import RemoteDelivery
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

private func relay(_ host: String, _ port: UInt16 = 25) -> SMTPRoutes.Route { .relay(Relay(host: bytes(host), port: port)) }

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
        #expect(Self.routes.fault == nil)
    }

    @Test func theEmptyKeyTakesTheRest() {
        let routes = SMTPRoutes([[]: bytes("smart.example"), bytes("direct.example"): []])
        #expect(routes.route(for: bytes("any.example")[...]) == relay("smart.example"))
        #expect(routes.route(for: bytes("direct.example")[...]) == .exchangers)
    }

    @Test(arguments: [
        "h:", "h:0", "h:65536", "h:-1", ":25", "[::1]:x", " ", "h tls=", "h tls=maybe", "h tls=TLS", "h user=me", "h passwordfile=f",
        "h user= passwordfile=f", "h:25 usr=me", "h tls=may user=me passwordfile=f", "h =x",
    ])
    func valuesThatAreNoRoutes(_ value: String) {
        #expect(SMTPRoutes([bytes("a"): bytes(value)]).fault?.key == bytes("a"))
    }

    /// A line written for another program may have the password itself in it.
    @Test func noWordOfALineIsInTheComplaint() {
        let problem = SMTPRoutes([bytes("a"): bytes("h:587 user=me password=s3cret")]).fault?.problem
        #expect(problem?.contains("s3cret") == false)
    }

    @Test(arguments: [
        ("h", 25, TransportSecurity.may, false), ("h tls=none", 25, .none, false), ("h:26 tls=encrypt", 26, .encrypt, false),
        ("h tls=verify", 25, .verify, false), ("h tls=implicit", 465, .verify, true), ("h:466 tls=implicit", 466, .verify, true),
        ("h:587 user=me passwordfile=f", 587, .verify, false), ("h user=me passwordfile=f tls=none", 25, .none, false),
        ("h passwordfile=f\ttls=encrypt user=me", 25, .encrypt, false), ("h:25 some words", 25, .may, false), ("[::1]:27 tls=may", 27, .may, false),
    ])
    func options(_ value: String, _ port: UInt16, _ security: TransportSecurity, _ beginsWithTLS: Bool) throws {
        let relay = try Relay(bytes(value))
        #expect((relay.port, relay.security, relay.beginsWithTLS) == (port, security, beginsWithTLS))
        #expect(relay.login == (value.contains("user=") ? Relay.Login(user: bytes("me"), passwordFile: bytes("f")) : nil))
    }

    @Test func theNameOfTheCertificate() throws {
        #expect(try Relay(bytes("192.0.2.1:25 name=Mail.Example")).certificateName == bytes("mail.example"))
        #expect(try Relay(bytes("h")).certificateName == nil)
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
