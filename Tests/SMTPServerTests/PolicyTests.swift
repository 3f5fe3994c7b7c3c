import Addresses
import Bytes
import Reception
import SMTPServer
import Testing

@Suite struct AddressPatternsTests {
    @Test(arguments: [
        ("user@host.example", "USER@host.EXAMPLE", true), ("user@host.example", "user@host.example.org", false),
        ("@host.example", "anybody@host.example", true), ("@host.example", "anybody@sub.host.example", false),
        ("@host.example", "host.example", false),
        ("*@host.example", "anybody@host.example", true), ("*@*.example", "a@b.c.example", true), ("spam?@x", "spam1@x", true),
        ("spam?@x", "spam@x", false), ("*", "", true), ("?", "", false), ("a*b*c", "a--b--b-c", true), ("a*b*c", "a--c--b", false),
        ("*a", "aaab", false), ("**", "x", true), ("a.b@c", "axb@c", false), ("", "", true),
    ]) func matching(_ pattern: String, _ text: String, _ matches: Bool) {
        #expect(AddressPatterns([Array(pattern.utf8)]).match(Array(text.utf8)) == matches)
    }

    @Test func exceptions() {
        let patterns = AddressPatterns(["!good@x", "@x", "!*-ok@x"].map { Array($0.utf8) })
        for (text, matches) in [("bad@x", true), ("good@x", false), ("very-ok@x", false), ("bad@y", false)] {
            #expect(patterns.match(Array(text.utf8)) == matches)
        }
        #expect(!AddressPatterns(["!good@x".utf8].map { Array($0) }).match(Array("bad@x".utf8)))
    }

    /// Whatever the pattern, its cost is bounded: this one takes for ever where every star is tried at every place.
    @Test func manyStars() {
        let pattern = Array(String(repeating: "*a", count: 400).utf8) + [UInt8(ascii: "b")]
        #expect(!AddressPatterns([pattern]).match([UInt8](repeating: UInt8(ascii: "a"), count: 899)))
    }
}

/// Who may send to whom, in the machine.
@Suite struct PolicyTests {
    private func dialog(_ policy: Policy, client: Client = Client(), helo: String = "c", profile: Profile = .modern) -> Dialog {
        let dialog = Dialog(profile, policy: policy, client: client)
        dialog.say("EHLO \(helo)\r\nMAIL FROM:<s@x.example>\r\n")
        _ = dialog.replies()
        return dialog
    }

    private func policy(
        mailFrom: [String] = [], helo: [String] = [], badRcptTo: [String] = [], goodRcptTo: [String]? = nil
    ) -> Policy {
        func bytes(_ lines: [String]) -> [[UInt8]] { lines.map { Array($0.utf8) } }
        return Policy(
            greeting: Array("mx.example".utf8), badMailFrom: bytes(mailFrom), badHelo: bytes(helo), badRcptTo: bytes(badRcptTo),
            goodRcptTo: goodRcptTo.map(bytes), rcpthosts: Rcpthosts([Array("ok.example".utf8)]))
    }

    private static let recipient = "RCPT TO:<r@ok.example>\r\n"

    private func relay() -> Client {
        var client = Client()
        client.relay = []
        return client
    }

    @Test(arguments: [Profile.modern, .classic]) func lists(_ profile: Profile) {
        let bad = [
            (policy(mailFrom: ["*@x.*"]), "553 "), (policy(helo: ["c"]), "553 "), (policy(helo: ["?"]), "553 "), (policy(badRcptTo: ["r@*"]), "553 "),
            (policy(goodRcptTo: ["other@ok.example"]), "550 "), (policy(goodRcptTo: []), "550 "), (policy(goodRcptTo: ["@ok.example"]), "250 "),
            (policy(mailFrom: ["@x.example", "!s@*"], helo: ["d"], badRcptTo: ["q@*"]), "250 "),
        ]
        for (policy, code) in bad { #expect(dialog(policy, profile: profile).exchange(Self.recipient).hasPrefix(code)) }
    }

    /// Those who may relay are spared goodrcptto, as they are rcpthosts, and no other list.
    @Test func relayClients() {
        #expect(dialog(policy(goodRcptTo: []), client: relay()).exchange(Self.recipient).hasPrefix("250 "))
        #expect(dialog(policy(badRcptTo: ["*"]), client: relay()).exchange(Self.recipient).hasPrefix("553 "))
    }

    @Test(arguments: [
        (Session.CheckOutcome.accepted, "250 2.1.5 "), (.refused, "550 5.1.1 "), (.undecided, "451 4.3.0 unable to verify"),
        (.notRun, "451 4.3.0 unable to execute"),
    ]) func recipientCheck(_ outcome: Session.CheckOutcome, _ reply: String) {
        var client = Client()
        client.recipientCheck = Array("/check".utf8)
        let dialog = dialog(policy(), client: client)
        dialog.say(Self.recipient + "NOOP\r\n")
        #expect(dialog.checked == ["s@x.example r@ok.example c"] && dialog.phase == .waiting && dialog.replies() == "")
        dialog.answer(outcome)
        let replies = dialog.replies()
        #expect(replies.hasPrefix(reply) && replies.hasSuffix("250 2.0.0 ok\r\n"))
    }

    @Test func listedBeforeTheFirstRecipient() {
        let dialog = dialog(policy())
        dialog.awaitLists()
        dialog.say(Self.recipient)
        #expect(dialog.replies() == "" && dialog.phase == .waiting)
        dialog.answer(lists: Array("-no <friends> of %\nours".utf8))
        #expect(dialog.replies() == "553 5.7.1 no <friends> of %?ours\r\n")
        #expect(dialog.exchange("DATA\r\n").hasPrefix("503 "))
    }

    @Test func notListed() {
        let dialog = dialog(policy())
        dialog.awaitLists()
        dialog.say(Self.recipient)
        dialog.answer(lists: nil)
        #expect(dialog.replies().hasPrefix("250 "))
    }

    @Test(arguments: [("", "250 "), ("text", "451 4.7.1 text\r\n"), ("-text", "553 5.7.1 text\r\n"), ("-", "553 5.7.1 \r\n")])
    func rblsmtpdVariable(_ value: String, _ reply: String) {
        var client = Client()
        client.listText = Array(value.utf8)
        #expect(dialog(policy(), client: client).exchange(Self.recipient).hasPrefix(reply))
        client.relay = []
        #expect(dialog(policy(), client: client).exchange(Self.recipient).hasPrefix("250 "))
    }

    /// Mended after framing: a bare LF ends a line and no message.
    @Test func mendedLineEnds() {
        var client = Client()
        client.mendsLineEnds = true
        let dialog = dialog(policy(), client: client)
        dialog.say(Self.recipient + "DATA\r\n")
        dialog.say("a: b\n\nx\n.\nMAIL FROM:<evil@x>\r\n.\r\n")
        #expect(dialog.messages.map(\.body) == [Array("a: b\n\nx\n.\nMAIL FROM:<evil@x>\n".utf8)])
        #expect(dialog.codes.last == 250)
        let strict = self.dialog(policy())
        strict.say(Self.recipient + "DATA\r\n")
        strict.say("a: b\n\nx\r\n.\r\n")
        #expect(strict.messages.isEmpty && strict.codes.last == 550)
        let bareCR = self.dialog(policy(), client: client)
        bareCR.say(Self.recipient + "DATA\r\n")
        bareCR.say("a: b\r\n\r\nx\ry\r\n.\r\n")
        #expect(bareCR.messages.isEmpty && bareCR.codes.last == 550)
    }
}

@Suite struct ListSearchTests {
    private static let client = IPAddress([192, 0, 2, 7])

    private func lists(_ lines: String...) -> [ClientList] { lines.compactMap { ClientList(Array($0.utf8)) } }

    private func search(_ lines: String...) throws -> ListSearch {
        ListSearch(lines.compactMap { ClientList(Array($0.utf8)) }, try #require(Self.client))
    }

    @Test(arguments: ["", "-", "a b", "a/b", "+:x"]) func badLines(_ line: String) { #expect(ClientList(Array(line.utf8)) == nil) }

    @Test func names() throws {
        #expect(try search("bl.example").next() == .askText(Array("7.2.0.192.bl.example".utf8)))
        #expect(try search("bl.example:no").next() == .askAddress(Array("7.2.0.192.bl.example".utf8)))
        #expect(try search("+wl.example").next() == .askAddress(Array("7.2.0.192.wl.example".utf8)))
        let v6 = try #require(IPAddress([0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [0x5A]))
        let name = "a.5." + String(repeating: "0.", count: 22) + "8.b.d.0.1.0.0.2.bl.example"
        #expect(ListSearch(lists("bl.example"), v6).next() == .askText(Array(name.utf8)))
    }

    private func decision(_ step: ListSearch.Step) -> String? {
        guard case .decided(let text, _) = step else { return "undecided" }
        return text?.text
    }

    @Test func firstDecisionWins() throws {
        var machine = try search("=log.example", "+wl.example", "bl.example", "-worse.example:%IP% is bad")
        _ = machine.answered(.text([]))
        #expect(machine.logged.map(\.base) == [Array("log.example".utf8)])
        #expect(machine.answered(.nothing) == .askText(Array("7.2.0.192.bl.example".utf8)))
        #expect(machine.answered(.nothing) == .askAddress(Array("7.2.0.192.worse.example".utf8)))
        let local = try #require(IPAddress([127, 0, 0, 2]))
        #expect(decision(machine.answered(.addresses([local]))) == "-192.0.2.7 is bad")
        var permitted = try search("+wl.example", "bl.example")
        #expect(decision(permitted.answered(.addresses([local]))) == nil)
    }

    /// A list that answers everything with some web server's address has nobody.
    @Test func onlyAddressesOfLists() throws {
        var machine = try search("bl.example:no", "+wl.example")
        let other = try #require(IPAddress([203, 0, 113, 9]))
        _ = machine.answered(.addresses([other]))
        #expect(decision(machine.answered(.addresses([other]))) == nil)
    }

    /// What a list says must not let a client in, nor refuse it for good.
    @Test(arguments: [("", "listed"), ("-x", "x"), ("--", "listed"), ("see web", "see web")])
    func textsOfStrangers(_ text: String, _ shown: String) throws {
        var machine = try search("bl.example")
        #expect(decision(machine.answered(.text(Array(text.utf8)))) == shown)
    }
}
