import Addresses
import Bytes
import ConnectionRules
import Foundation
import Testing

/// spec-qmail §18.2: what tcprules takes and what tcpserver makes of it.
@Suite struct ConnectionRulesTests {
    private func rules(_ text: String) throws -> ConnectionRules { try ConnectionRules(Array(text.utf8)) }
    private func address(_ text: String) -> IPAddress? { IPAddress(dotted: text.utf8) }

    /// Every kind of key, in the order in which they are tried.
    private static let every = """
        joe@192.0.2.7:allow,N="1"
        joe@=h.example:allow,N="2"
        192.0.2.7:deny
        =h.example:allow,N="4",M='m m'
        192.0.2.:allow,N="5"
        192.0.:deny,Z="z"
        192.:allow
        =.example:allow,N="8"
        =:deny
        :allow,N="10"

        """

    @Test(
        arguments: [
            ("192.0.2.7", nil, "joe", "joe@192.0.2.7"), ("192.0.2.8", "h.example", "joe", "joe@=h.example"),
            ("192.0.2.7", "h.example", nil, "192.0.2.7"),
            ("192.0.2.7", nil, "JOE", "192.0.2.7"), ("192.0.2.8", "h.example", nil, "=h.example"), ("192.0.2.8", nil, nil, "192.0.2."),
            ("192.0.3.8", nil, nil, "192.0."), ("192.9.3.8", nil, nil, "192."), ("10.0.0.1", "a.b.example", nil, "=.example"),
            ("10.0.0.1", "a.b.c", nil, "="), ("10.0.0.1", "", nil, "="), ("10.0.0.1", nil, nil, ""),
        ] as [(String, String?, String?, String)])
    func theFirstKeyThatFitsWins(_ ip: String, _ host: String?, _ info: String?, _ key: String) throws {
        let origin = ConnectionOrigin(address: address(ip), host: host.map { Array($0.utf8) }, info: info.map { Array($0.utf8) })
        let found = try #require(try rules(Self.every).match(origin))
        #expect(found.key.text == key)
    }

    @Test func decisions() throws {
        let rules = try rules("127.:allow,RELAYCLIENT=\"\",DATABYTES='7'\n10.:deny\nunknown:deny\n")
        let expected = [("RELAYCLIENT", ""), ("DATABYTES", "7")].map {
            ConnectionRules.Assignment(name: Array($0.0.utf8), value: Array($0.1.utf8))
        }
        #expect(rules.decision(for: ConnectionOrigin(address: address("127.0.0.1"))) == .allow(expected))
        #expect(rules.decision(for: ConnectionOrigin(address: address("10.1.1.1"))) == .deny)
        #expect(rules.decision(for: ConnectionOrigin(address: address("11.1.1.1"))) == .allow([]))
        #expect(rules.decision(for: ConnectionOrigin(address: nil)) == .deny)
    }

    @Test(arguments: [
        ("127.0.0.1:allow,\n", 1), ("\n#\n:allow,A=\"b\",\n", 3), (":ALLOW\n", 1), (":allow,=x\"v\"\n", 1), ("2001:db8::1:deny\n", 1),
        ("x-y:allow\n", 1),
        (":allow\n:perhaps\n", 2), ("[2001:db8::1]deny", 1), ("[2001:db8::/129]:deny", 1), ("[1:2:3:4:5:6:7:8:9]:deny", 1), ("[:1:2]:deny", 1),
        ("[1::2::3]:deny", 1), ("[12345::]:deny", 1), ("[g::]:deny", 1), ("[::1", 1),
    ])
    func aBadLineIsNamed(_ text: String, _ number: Int) {
        #expect { try rules(text) } throws: { ($0 as? ConnectionRules.BadLine)?.number == number }
    }

    @Test(arguments: [
        ("192.0.2.1-3:allow\n", ["192.0.2.1", "192.0.2.2", "192.0.2.3"]), ("192.0.2-3.:deny\n", ["192.0.2.", "192.0.3."]),
        ("1.2.3.254-300:allow\n", ["1.2.3.254", "1.2.3.255"]), ("1.2.3.4-:allow\n", []), ("1.2.3.-1:allow\n", ["1.2.3.0", "1.2.3.1"]),
        ("a-b@1.2.3.4-5:deny\n", ["a-b@1.2.3.4-5"]), ("1-2.3-4.:deny\n", ["1.3-4.", "2.3-4."]), ("  1.2.3.4:allow\n", ["  1.2.3.4"]),
        ("no colon\n", []),
    ])
    func keys(_ text: String, _ keys: [String]) throws {
        #expect(Set(try rules(text).rules.keys.map(\.text)) == Set(keys))
    }

    @Test func ofEqualKeysTheFirstCounts() throws {
        #expect(try rules("dup:allow\ndup:deny\n").rules[Array("dup".utf8)]?.isDenied == false)
    }

    @Test func bracketsHoldIPv6() throws {
        let rules = try rules("[2001:db8::/32]:deny\n[2001:db8::1]:allow,A=\"1\"\n[::/0]:allow,A=\"0\"\n")
        func decide(_ tail: [UInt8]) -> ConnectionRules.Decision {
            rules.decision(for: ConnectionOrigin(address: IPAddress(tail + [UInt8](repeating: 0, count: 15 - tail.count) + [1])))
        }
        let a = { (value: String) in ConnectionRules.Decision.allow([.init(name: [0x41], value: Array(value.utf8))]) }
        #expect(decide([0x20, 0x01, 0x0d, 0xb8]) == a("1"))
        #expect(decide([0x20, 0x01, 0x0d, 0xb8, 1]) == .deny)
        #expect(decide([0x20, 0x01, 0x0d, 0xb9]) == a("0"))
        #expect(rules.decision(for: ConnectionOrigin(address: address("1.2.3.4"))) == .allow([]))
    }
}

/// The recorded cases of ucspi-tcp.
@Suite struct TcprulesGoldenTests {
    @Test func tcprules() throws {
        for entry in try recordedCases("tcprules.jsonl") where entry["program"] as? String == "tcprules" {
            guard let input = entry["stdin"] as? String, let expect = entry["expect"] as? [String: Any] else { continue }
            let exit = expect["exit"] as? Int
            let parsed = try? ConnectionRules(Array(input.utf8))
            guard exit == 0, let files = expect["files"] as? [String: [String: Any]], let cdb = files["home/cdb"] else {
                if (expect["stderr"] as? String)?.contains("unable to parse") == true { #expect(parsed == nil, "\(entry["id"] ?? "")") }
                continue
            }
            let bytes = (cdb["b64"] as? String).flatMap { Data(base64Encoded: $0) }.map(Array.init) ?? Array((cdb["content"] as? String ?? "").utf8)
            var wanted: [[UInt8]: [UInt8]] = [:]
            for (key, data) in records(bytes) where wanted[key] == nil { wanted[key] = data }
            let rules = try #require(parsed, "\(entry["id"] ?? "")").rules
            #expect(rules.mapValues(data) == wanted, "\(entry["id"] ?? "")")
        }
    }

    @Test func tcprulescheck() throws {
        for entry in try recordedCases("tcprules.jsonl") where entry["program"] as? String == "tcprulescheck" {
            guard let files = entry["files"] as? [String: String], let text = files["home/rules"], let environment = entry["env"] as? [String: String]
            else { continue }
            let origin = ConnectionOrigin(
                address: IPAddress(dotted: (environment["TCPREMOTEIP"] ?? "0.0.0.0").utf8), host: environment["TCPREMOTEHOST"].map { Array($0.utf8) },
                info: environment["TCPREMOTEINFO"].map { Array($0.utf8) })
            var output = "default:\nallow connection\n"
            if let (key, rule) = try ConnectionRules(Array(text.utf8)).match(origin) {
                output = "rule \(key.text):\n"
                for assignment in rule.assignments { output += "set environment variable \(assignment.name.text)=\(assignment.value.text)\n" }
                output += rule.isDenied ? "deny connection\n" : "allow connection\n"
            }
            #expect(output == (entry["expect"] as? [String: Any])?["stdout"] as? String, "\(entry["id"] ?? "")")
        }
    }

    /// What tcprules writes for a rule.
    private func data(_ rule: ConnectionRules.Rule) -> [UInt8] {
        var result: [UInt8] = rule.isDenied ? [0x44, 0] : []
        for assignment in rule.assignments {
            result.append(ASCII.plus)
            result += assignment.name
            result.append(ASCII.equals)
            result += assignment.value
            result.append(0)
        }
        return result
    }

    private func records(_ cdb: [UInt8]) -> [(key: [UInt8], data: [UInt8])] {
        var header = ByteReader(cdb)
        var end = UInt32.max
        for _ in 0..<256 {
            end = min(end, header.number(UInt32.self) ?? 0)
            _ = header.number(UInt32.self)
        }
        var result: [(key: [UInt8], data: [UInt8])] = []
        var reader = ByteReader(cdb[2048..<max(2048, Int(end))])
        while let keyLength = reader.number(UInt32.self), let dataLength = reader.number(UInt32.self), let key = reader.bytes(Int(keyLength)),
            let data = reader.bytes(Int(dataLength))
        { result.append((Array(key), Array(data))) }
        return result
    }
}

/// The lines of a file of recorded cases (Tests/Golden/README.md).
private func recordedCases(_ name: String) throws -> [[String: Any]] {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let text = try String(contentsOf: tests.appendingPathComponent("Golden/qmail/\(name)"), encoding: .utf8)
    return try text.split(separator: "\n").map { try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]) }
}

@Suite struct NetworksTests {
    private func address(_ text: String) -> IPAddress? { IPLiteral.parse(Array(text.utf8)[...]) }
    private func networks(_ entries: [String]) throws -> Networks { try Networks(entries.map { Array($0.utf8) }) }

    @Test func membership() throws {
        let some = try networks(["192.0.2.1", "198.51.100.0/25", "2001:db8::/32", "::1"])
        for inside in ["192.0.2.1", "198.51.100.127", "2001:db8:ffff::9", "::1"] { #expect(some.contains(address(inside)), "\(inside)") }
        for outside in ["192.0.2.2", "198.51.100.128", "2001:db9::", "::2", "0.0.0.0"] {
            #expect(!some.contains(address(outside)), "\(outside)")
        }
        #expect(!some.contains(nil) && !Networks().contains(nil))
        #expect(try networks(["unix"]).contains(nil))
        #expect(try networks(["0.0.0.0/0"]).contains(address("9.9.9.9")))
        #expect(try !networks(["0.0.0.0/0"]).contains(address("::1")))
    }

    @Test(arguments: ["", "192.0.2.1/33", "192.0.2.0/", "::/129", "[::1]", "mail.example", "192.0.2.", "1.2.3.4/-1", "/8"]) func badEntries(
        _ entry: String
    ) {
        #expect(throws: Networks.BadEntry.self) { try networks([entry]) }
    }
}
