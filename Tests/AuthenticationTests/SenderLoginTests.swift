import Addresses
import Authentication
import Testing

struct SenderLoginTests {
    private static let rules = ["joe@example.org:info@example.org", "listmaster:@lists.example.org", "backup:*", "*:all@example.org"]

    @Test(arguments: [
        ("joe@example.org", "info@example.org", true), ("JOE@example.org", "Info@Example.Org", true), ("joe@example.org", "ann@example.org", false),
        ("ann@example.org", "info@example.org", false), ("listmaster", "any@lists.example.org", true),
        ("listmaster", "any@sub.lists.example.org", false),
        ("backup", "whoever@anywhere", true), ("backup", "nohost", true), ("ann", "all@example.org", true), ("listmaster", "nohost", false),
    ])
    func rules(_ account: String, _ sender: String, _ isPermitted: Bool) throws {
        let rules = try SenderLogin(Self.rules.map { Array($0.utf8) })
        #expect(rules.permits(Array(account.utf8), try #require(Address(Array(sender.utf8)))) == isPermitted)
    }

    @Test(arguments: ["", "joe", ":x", "joe:"]) func noRules(_ line: String) {
        #expect(throws: SenderLogin.BadLine.self) { try SenderLogin([Array(line.utf8)]) }
    }
}
