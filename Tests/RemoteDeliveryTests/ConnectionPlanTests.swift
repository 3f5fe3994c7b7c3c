import Addresses
import RemoteDelivery
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

private func candidates(_ list: [(UInt16, String, String)], port: UInt16 = 25) throws -> Candidates {
    Candidates(
        try list.map { preference, exchanger, address in
            Candidates.Candidate(preference: preference, address: try #require(IPLiteral.parse(bytes(address)[...])), exchanger: bytes(exchanger))
        }, port: port)
}

@Suite struct ConnectionPlanTests {
    /// RFC 5321 §5.1: by preference; IPv4 before IPv6 among equals; equals in any order.
    @Test func theOrderOfAttempts() throws {
        let plan = ConnectionPlan(
            nil,
            try candidates([
                (20, "c.example", "192.0.2.9"), (10, "a.example", "2001:db8::1"), (10, "a.example", "192.0.2.1"), (10, "b.example", "192.0.2.2"),
            ]))
        var random = SystemRandomNumberGenerator()
        var firsts: Set<String> = []
        for _ in 0..<100 {
            let order = plan.ordered(using: &random).map { "\($0.address)" }
            #expect(Array(order.dropFirst(2)) == ["2001:db8::1", "192.0.2.9"])
            firsts.insert(order[0])
        }
        #expect(firsts == ["192.0.2.1", "192.0.2.2"])
    }

    @Test func exchangersAreAskedForTLSAndNotForTheirNames() throws {
        let plan = ConnectionPlan(
            nil, try candidates([(10, "MX.Example.", "192.0.2.1"), (20, "", "192.0.2.2"), (30, "bücher.example", "192.0.2.3")]))
        #expect(plan.attempts.map(\.security) == [.may, .may, .may])
        #expect(plan.attempts.map(\.certificateName) == [bytes("mx.example"), nil, bytes("xn--bcher-kva.example")])
        #expect(plan.login == nil && !plan.attempts.contains { $0.beginsWithTLS })
    }

    /// Here policies come in: they raise what one exchanger's connection needs, and no other's.
    @Test func whatIsKnownOfAnExchangerDecidesForIt() throws {
        let knowledge = ExchangerKnowledge([bytes("mx1.example"): .verify])
        let plan = ConnectionPlan(nil, try candidates([(10, "MX1.example", "192.0.2.1"), (20, "mx2.example", "192.0.2.2")]), knowledge)
        #expect(plan.attempts.map(\.security) == [.verify, .may])
    }

    @Test func aRouteSaysAllItself() throws {
        let relay = try Relay(bytes("relay.example:2465 tls=implicit name=other.example user=me passwordfile=f"))
        let plan = ConnectionPlan(
            relay, try candidates([(0, "relay.example", "192.0.2.1")], port: 2465), ExchangerKnowledge([bytes("relay.example"): .may]))
        let attempt = try #require(plan.attempts.first)
        #expect((attempt.port, attempt.security, attempt.beginsWithTLS) == (2465, .verify, true))
        #expect(attempt.certificateName == bytes("other.example"))
        #expect(plan.login == Relay.Login(user: bytes("me"), passwordFile: bytes("f")))
    }
}
