import Addresses
import Frames
import RemoteDelivery
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// DNS as a table: `name MX` or `name A` to what it answers; what is missing is no such name.
private struct Zone {
    var answers: [String: NameLookup.Result] = [:]

    /// `"example.org"` → `"10 a, 20 b"` or, for addresses, `"192.0.2.1 2001:db8::1"`; `!` a temporary failure, `-` no data.
    init(exchangers: [String: String] = [:], addresses: [String: String] = [:]) {
        for (name, value) in exchangers { answers["\(name) MX"] = Self.special(value) ?? .exchangers(Self.exchangers(value)) }
        for (name, value) in addresses {
            answers["\(name) A"] =
                Self.special(value) ?? .addresses(value.split(separator: " ").compactMap { IPLiteral.parse(bytes(String($0))[...]) })
        }
    }

    private static func special(_ value: String) -> NameLookup.Result? { value == "!" ? .temporaryFailure : value == "-" ? .noData : nil }

    private static func exchangers(_ value: String) -> [NameLookup.Exchanger] {
        value.split(separator: ",").map { item in
            let words = item.split(separator: " ")
            return NameLookup.Exchanger(preference: UInt16(words[0]) ?? 0, name: bytes(words.count > 1 ? String(words[1]) : "")[...])
        }
    }

    func answer(_ question: ExchangerSearch.Question) -> NameLookup.Result {
        answers["\(String(decoding: question.name, as: UTF8.self)) \(question.kind == .exchangers ? "MX" : "A")"] ?? .noSuchName
    }
}

/// `10 192.0.2.1, …` by preference, or the report's letter and text.
private func find(_ host: String, _ zone: Zone, route: SMTPRoutes.Route = .exchangers, own: [String] = ["198.51.100.7"]) -> String {
    let policy = AddressPolicy(own: Set(own.compactMap { IPLiteral.parse(bytes($0)[...]) }))
    var search = ExchangerSearch(host: bytes(host)[...], route: route, policy: policy)
    var steps = [search.start()]
    while let step = steps.popLast() {
        switch step {
        case .ask(let questions):
            // The last answer comes first: the order must not matter.
            for question in questions.reversed() { steps.insert(search.answered(question.id, zone.answer(question)), at: 0) }
            if let end = steps.first(where: { if case .ask = $0 { false } else { true } }) { steps = [end] }
        case .found(let candidates):
            let sorted = candidates.all.sorted { ($0.preference, $0.address.description) < ($1.preference, $1.address.description) }
            let list = sorted.map { "\($0.preference) \($0.address)" }.joined(separator: ", ")
            return candidates.port == 25 ? list : "\(list) port \(candidates.port)"
        case .ended(let report):
            return "\(report.outcome) \(String(decoding: report.text, as: UTF8.self).replacing("\n", with: "/"))"
        }
    }
    return "nothing"
}

private let notNow = "deferred Sorry, I couldn't find any host by that name. (#4.1.2)/"
private let noExchanger = "failed Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)/"
private let best =
    "failed Sorry. Although I'm listed as a best-preference MX or A for that host,/"
    + "it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)/"

@Suite struct ExchangerSearchTests {
    /// spec-qmail §14.4.
    @Test(
        arguments: [
            // Literals.
            ("192.0.2.1", [:], [:], "0 192.0.2.1"), ("[192.0.2.1]", [:], [:], "0 192.0.2.1"), ("[IPv6:2001:db8::1]", [:], [:], "0 2001:db8::1"),
            ("[127.0.0.1]", [:], [:], best), ("[198.51.100.7]", [:], [:], best), ("[224.0.0.1]", [:], [:], noExchanger),
            // MX.
            ("h", ["h": "10 a, 5 b"], ["a": "192.0.2.1", "b": "192.0.2.2 2001:db8::2"], "5 192.0.2.2, 5 2001:db8::2, 10 192.0.2.1"),
            ("h.", ["h": "10 192.0.2.9"], [:], "10 192.0.2.9"),
            ("h", ["h": "10 192.0.2.9"], [:], "10 192.0.2.9"),
            ("h", ["h": "10 a, 20 b"], ["a": "!", "b": "192.0.2.2"], "20 192.0.2.2"),
            ("h", ["h": "10 a, 20 b"], ["a": "!"], notNow), ("h", ["h": "10 a, 20 b"], ["a": "-"], noExchanger), ("h", ["h": "!"], [:], notNow),
            // No MX.
            ("h", ["h": "-"], ["h": "192.0.2.3"], "0 192.0.2.3"), ("h", [:], ["h": "192.0.2.3"], "0 192.0.2.3"), ("h", [:], ["h": "!"], notNow),
            ("h\u{1B}x", [:], [:], "failed Sorry, I couldn't find any host named h?x. (#5.1.2)/"),
            ("h", ["h": "-"], ["h": "-"], "failed Sorry, I couldn't find any host named h. (#5.1.2)/"),
            ("h", ["h": "-"], ["h": "127.0.0.1"], best),
            ("", [:], [:], "failed Sorry, I couldn't find any host named . (#5.1.2)/"),
            // The null MX, RFC 7505.
            ("h", ["h": "0"], [:], "failed Sorry, that host says that it takes no mail. (#5.1.10)/"),
            ("h", ["h": "0, 5 a"], ["a": "192.0.2.1"], "5 192.0.2.1"),
            // Ourselves among the exchangers: only better ones.
            ("h", ["h": "5 a, 10 us, 10 c, 20 b"], ["a": "192.0.2.1", "us": "198.51.100.7", "c": "192.0.2.3", "b": "192.0.2.2"], "5 192.0.2.1"),
            ("h", ["h": "10 us, 20 b"], ["us": "198.51.100.7", "b": "192.0.2.2"], best),
            ("h", ["h": "10 localhost"], ["localhost": "127.0.0.1 ::1"], best),
            ("h", ["h": "10 a, 20 b"], ["a": "0.0.0.0", "b": "192.0.2.2"], best),
            ("h", ["h": "5 a, 10 b"], ["a": "169.254.0.1 fe80::1", "b": "192.0.2.2"], "10 192.0.2.2"),
            ("h", ["h": "5 a"], ["a": "::ffff:10.0.0.1"], noExchanger),
        ] as [(String, [String: String], [String: String], String)])
    func results(_ host: String, _ exchangers: [String: String], _ addresses: [String: String], _ expected: String) {
        #expect(find(host, Zone(exchangers: exchangers, addresses: addresses)) == expected)
    }

    @Test func routesAreBelieved() {
        let zone = Zone(exchangers: ["relay": "5 other"], addresses: ["relay": "127.0.0.1 198.51.100.7"])
        let route = { (host: String) in SMTPRoutes.Route.relay(Relay(host: bytes(host), port: 26)) }
        #expect(find("h", zone, route: route("relay")) == "0 127.0.0.1, 0 198.51.100.7 port 26")
        #expect(find("h", zone, route: route("[::1]")) == "0 ::1 port 26")
        #expect(find("h", zone, route: route("nowhere")) == "failed Sorry, I couldn't find any host named nowhere. (#5.1.2)/")
    }

    /// hardening.md "DNS": 500 exchangers, 500 addresses.
    @Test func caps() {
        let exchangers = (0..<500).reversed().map { "\($0) m\($0)" }.joined(separator: ",")
        let addresses = (0..<500).map { ("m\($0)", (0..<50).map { "192.0.2.\($0)" }.joined(separator: " ")) }
        let found = find("h", Zone(exchangers: ["h": exchangers], addresses: Dictionary(uniqueKeysWithValues: addresses)))
        #expect(found.split(separator: ",").count == 100)
        #expect(found.hasPrefix("0 192.0.2.0,") && found.hasSuffix("19 192.0.2.4"))
    }

    @Test func whatIsNotAnsweredInTimeIsTemporary() {
        let policy = AddressPolicy(own: [])
        var silent = ExchangerSearch(host: bytes("h")[...], route: .exchangers, policy: policy)
        _ = silent.start()
        #expect(silent.deadlinePassed() == .ended(DeliveryTexts.noHostFoundNow))

        var half = ExchangerSearch(host: bytes("h")[...], route: .exchangers, policy: policy)
        let exchangers = ["a", "b"].map { NameLookup.Exchanger(preference: 1, name: bytes($0)[...]) }
        guard case .ask(let first) = half.start(), case .ask(let next) = half.answered(first[0].id, .exchangers(exchangers)) else {
            Issue.record("no questions")
            return
        }
        let address = IPLiteral.parse(bytes("192.0.2.1")[...])
        #expect(half.answered(next[1].id, .addresses([address].compactMap { $0 })) == .ask([]))
        #expect(half.answered(next[1].id, .noSuchName) == .ask([]), "an answer counts once")
        guard case .found(let candidates) = half.deadlinePassed() else {
            Issue.record("nothing found")
            return
        }
        #expect(candidates.all.map(\.address.description) == ["192.0.2.1"])
    }

    @Test func equalsAreShuffledWithinTheirFamily() {
        let texts = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]
        var all = texts.compactMap { IPLiteral.parse(bytes($0)[...]) }.map { Candidates.Candidate(preference: 5, address: $0) }
        all += [IPLiteral.parse(bytes("192.0.2.9")[...])].compactMap { $0 }.map { Candidates.Candidate(preference: 9, address: $0) }
        var generator = SystemRandomNumberGenerator()
        var seen: Set<String> = []
        for _ in 0..<200 {
            let order = ConnectionPlan(nil, Candidates(all, port: 25)).ordered(using: &generator).map(\.address.description)
            #expect(
                Set(order[..<2]) == ["192.0.2.1", "192.0.2.2"] && Set(order[2..<4]) == ["2001:db8::1", "2001:db8::2"] && order[4] == "192.0.2.9")
            seen.insert(order.joined(separator: " "))
        }
        #expect(seen.count == 4)
    }
}
