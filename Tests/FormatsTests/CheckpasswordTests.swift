import Checkpassword
import Testing

struct CheckpasswordTests {
    private static let joe = ReachedAccount(uid: 1001, gid: .max, user: Array("joe@example.org".utf8), home: Array("/home/j s".utf8))

    @Test func whatWasReachedIsToldWhole() {
        #expect(Self.joe.encoded == Array("1001\u{0}4294967295\u{0}joe@example.org\u{0}/home/j s\u{0}".utf8))
        #expect(ReachedAccount(encoded: Self.joe.encoded) == Self.joe)
    }

    @Test(arguments: [
        "", "1\u{0}1\u{0}joe\u{0}/", "1\u{0}1\u{0}joe\u{0}/\u{0}x", "1\u{0}1\u{0}joe\u{0}home\u{0}", "1\u{0}1\u{0}joe\u{0}\u{0}",
        "-1\u{0}1\u{0}joe\u{0}/\u{0}",
        "4294967296\u{0}1\u{0}joe\u{0}/\u{0}", "hello\n1\u{0}1\u{0}joe\u{0}/\u{0}",
    ])
    func whatIsNoReport(_ text: String) { #expect(ReachedAccount(encoded: Array(text.utf8)) == nil) }
}
