import Accounts
import Bytes
import Testing

@Suite struct AccountAddressTests {
    @Test(arguments: [
        ("Joe@Example.ORG", "joe@example.org"), ("o'brien+x=y&z!#~_-@a", "o'brien+x=y&z!#~_-@a"), ("a.b@1.2", "a.b@1.2"),
        ("joe@bücher.example", "joe@xn--bcher-kva.example"), ("joe@BÜCHER.example", "joe@xn--bcher-kva.example"),
        (String(repeating: "x", count: 64) + "@y", String(repeating: "x", count: 64) + "@y"),
    ])
    func names(_ text: String, _ expected: String) throws {
        #expect(try #require(AccountAddress(Array(text.utf8))).bytes.text == expected)
    }

    @Test(arguments: [
        "", "x", "x@", "@y", "../x@y", "..@y", ".x@y", "x.@y", "x..y@z", "x/y@z", "x\\y@z", "x y@z", "x\0@y", "x\n@y", "x@y\n", "x@y/..", "x@..",
        "x@.y", "x@y.",
        "x@-y", "x@y-", "x@y_z", "x|y@z", "$x@y", "`x`@y", "x%y@z", "jö@y", "x@y@z", "x@\u{FFFD}", String(repeating: "x", count: 65) + "@y",
        "x@" + String(repeating: "y", count: 64), "x@" + String(repeating: "y.", count: 127) + "z",
    ])
    func noNames(_ text: String) {
        #expect(AccountAddress(Array(text.utf8)) == nil)
    }

    @Test(arguments: [
        ("x@y", true), ("a b@y", false), ("x@y\t", false), ("\"x\"@y", true), ("|id@y", true), ("x", false), ("x@", false), ("@y", false),
        ("x\n@y", false),
        (String(repeating: "x", count: 1001) + "@y", false), ("jö@bücher.example", true),
    ])
    func forwardAddresses(_ text: String, _ isGood: Bool) {
        #expect((ForwardAddress(Array(text.utf8)) != nil) == isGood)
    }
}
