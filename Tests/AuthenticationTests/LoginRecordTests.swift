import Accounts
import Testing

struct LoginRecordTests {
    static let full = LoginRecord(
        uid: 1001, gid: 1002, home: Array("/var/qmail/domains/example.org/j s".utf8), mailbox: Array("Maildir".utf8), isConfined: true,
        isDisabled: true,
        passwords: [.init(hash: Array("$y$j9T$x".utf8)), .init(hash: Array("$6$y".utf8), label: Array("phone of mine".utf8))],
        scram: .init(iterations: 4096, salt: [1], storedKey: [2, 3], serverKey: [4, 5]), secret: Array("a\nb".utf8))

    @Test func comesBackAsItWas() throws {
        let encoded = try #require(Self.full.encoded)
        #expect(LoginRecord(encoded: encoded) == Self.full)
        #expect(LoginRecord(encoded: Array("later fact\n".utf8) + encoded) == Self.full)
    }

    @Test(arguments: ["", "uid 1\ngid 1\nhome /\n", "uid -1\ngid 1\nhome /\nmailbox M\n", "uid 4294967296\ngid 1\nhome /\nmailbox M\n"])
    func whatIsNoRecord(_ text: String) { #expect(LoginRecord(encoded: Array(text.utf8)) == nil) }

    @Test func aFieldCannotPassForALine() {
        var record = Self.full
        record.home = Array("/home\nuid 0".utf8)
        #expect(record.encoded == nil)
    }
}
