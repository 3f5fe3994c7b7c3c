import Bytes
import Checkpassword
import POP3
import Testing

private let stamp = "<1.2@pop.example>"

/// What was said to the client, who was asked about, and whether all is over.
private struct Dialog {
    var session: AuthorizationSession
    var replies: [String] = []
    var checks: [Credentials] = []
    var tlsStarts = 0
    var isClosed = false

    init(offersTLS: Bool = false) { session = AuthorizationSession(classic: Array(stamp.utf8), offersTLS: offersTLS) }

    mutating func say(_ text: String) { perform(session.bytesReceived(Array(text.utf8))) }
    mutating func sayEachByte(_ text: String) { for byte in text.utf8 { perform(session.bytesReceived([byte])) } }

    mutating func perform(_ actions: [AuthorizationSession.Action]) {
        for action in actions {
            switch action {
            case .send(let bytes): replies += bytes.text.split(separator: "\r\n", omittingEmptySubsequences: false).dropLast().map(String.init)
            case .check(let credentials): checks.append(credentials)
            case .startTLS: tlsStarts += 1
            case .close: isClosed = true
            case .begin, .respond, .cancel, .open: Issue.record("none of the classic profile's")
            }
        }
    }
}

private func login(_ login: String, _ password: String) -> Credentials? {
    Credentials(login: Array(login.utf8), password: Array(password.utf8), timestamp: Array(stamp.utf8))
}

@Suite("POP3 before login (qmail §16.1)") struct AuthorizationSessionTests {
    @Test("The greeting holds what a digest is made over") func greeting() {
        var dialog = Dialog()
        dialog.perform(dialog.session.opened())
        #expect(dialog.replies == ["+OK <1.2@pop.example>"])
    }

    @Test(
        "Commands and replies",
        arguments: [
            ("NOOP\r\nnoop x\r\n", ["+OK ", "+OK "], false), ("QUIT\r\nNOOP\r\n", ["+OK "], true), ("quit x\n", ["+OK "], true),
            ("PASS x\r\nUSER\r\nUSER \r\n", ["-ERR USER first", "-ERR syntax error", "-ERR syntax error"], false),
            ("USER joe\r\nPASS\r\nPASS  \r\n", ["+OK ", "-ERR syntax error", "-ERR syntax error"], false),
            ("APOP\r\nAPOP joe\r\n", ["-ERR syntax error", "-ERR syntax error"], false),
            ("STAT\r\nCAPA\r\nSTLS\r\nAUTH\r\n\r\n", Array(repeating: "-ERR authorization first", count: 5), false),
            ("USER joe\0x\r\nPASS p\r\n", ["+OK ", "-ERR syntax error"], false), ("APOP joe d\0<t>\r\n", ["-ERR syntax error"], false),
            (String(repeating: "x", count: 1024) + "\r\n", ["-ERR authorization first"], false),
            (String(repeating: "x", count: 1025) + "\r\nNOOP\r\n", ["-ERR line too long"], true),
            (String(repeating: "x", count: 5000), ["-ERR line too long"], true),
        ])
    func replies(_ input: String, _ replies: [String], _ isClosed: Bool) {
        for isCut in [false, true] {
            var dialog = Dialog()
            if isCut { dialog.sayEachByte(input) } else { dialog.say(input) }
            #expect(dialog.replies == replies)
            #expect(dialog.isClosed == isClosed)
            #expect(dialog.checks.isEmpty)
        }
    }

    @Test(
        "Whom to ask about",
        arguments: [
            ("USER joe\r\nPASS p\r\n", "joe", "p"), ("user joe\npass two words\n", "joe", "two words"),
            ("USER  joe \r\nPASS secret \r\n", "joe ", "secret "),
            ("USER a\r\nUSER joe\r\nPASS p\r\n", "joe", "p"), ("USER a\r\nAPOP x y\r\n", "x", "y"), ("APOP joe a b\r\n", "joe", "a b"),
            ("APOP  joe\r\n", "", ""),
        ])
    func logins(_ input: String, _ user: String, _ password: String) {
        for isCut in [false, true] {
            var dialog = Dialog()
            // What follows waits, and is lost with the one attempt.
            if isCut { dialog.sayEachByte(input + "STAT\r\n") } else { dialog.say(input + "STAT\r\n") }
            #expect(dialog.checks == (user.isEmpty ? [] : [login(user, password)].compactMap { $0 }))
            #expect(dialog.isClosed == false)
        }
    }

    @Test(
        "One attempt, and what is said after it",
        arguments: [
            (.served, []), (.denied, ["-ERR authorization failed"]), (.crashed, ["-ERR aack, child crashed"]),
            (.cannotAsk("unable to fork"), ["-ERR unable to fork"]),
        ] as [(AuthorizationSession.Verdict, [String])])
    func verdicts(_ verdict: AuthorizationSession.Verdict, _ replies: [String]) {
        var dialog = Dialog()
        dialog.perform(dialog.session.checked(verdict))
        #expect(dialog.replies.isEmpty, "nobody was asked about")
        dialog.say("APOP joe d\r\n")
        dialog.perform(dialog.session.checked(verdict))
        #expect(dialog.replies == replies)
        #expect(dialog.isClosed)
    }

    @Test("STLS: what was said before counts no more (RFC 2595 §4)") func tls() {
        var dialog = Dialog(offersTLS: true)
        dialog.say("USER joe\r\nSTLS\r\n")
        #expect(dialog.replies == ["+OK ", "+OK begin TLS negotiation"])
        #expect(dialog.tlsStarts == 1)
        dialog.perform(dialog.session.tlsStarted())
        dialog.say("PASS p\r\nSTLS\r\nUSER joe\r\nPASS p\r\n")
        #expect(dialog.replies.suffix(3) == ["-ERR USER first", "-ERR authorization first", "+OK "])
        #expect(dialog.checks == [login("joe", "p")].compactMap { $0 })
    }

    @Test("Nothing may follow STLS, in one piece or another (hardening: CVE-2011-0411)", arguments: ["NOOP\r\n", "U", "\n"])
    func injection(_ injected: String) {
        var together = Dialog(offersTLS: true)
        together.say("STLS\r\n" + injected)
        #expect(together.replies == ["-ERR nothing may follow STLS"])
        #expect(together.isClosed)
        #expect(together.tlsStarts == 0)
    }
}

@Suite("The checkpassword interface (qmail §16.2)") struct CredentialsTests {
    @Test("What is written is read") func roundTrip() throws {
        let credentials = try #require(login("joe", "p w"))
        #expect(credentials.encoded.text == "joe\0p w\0\(stamp)\0")
        #expect(Credentials(encoded: credentials.encoded) == credentials)
        #expect(Credentials(encoded: credentials.encoded + Array("more\0".utf8)) == credentials)
    }

    @Test("Missing fields", arguments: [("", false), ("joe", false), ("joe\0p", false), ("joe\0p\0", true), ("\0\0", true), ("joe\0p\0t", true)])
    func fields(_ input: String, _ isWhole: Bool) { #expect((Credentials(encoded: Array(input.utf8)) != nil) == isWhole) }

    @Test("A NUL would shift the fields") func nul() {
        #expect(login("joe\0", "p") == nil)
        #expect(login("joe", "digest\0<old@timestamp>") == nil)
    }
}
