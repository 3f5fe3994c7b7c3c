import Bytes
import POP3
import Testing

private let stamp = "<1.2@pop.example>"

/// A modern session, and what it asked for.
private struct Dialog {
    typealias Answer = AuthorizationSession.Answer

    var session: AuthorizationSession
    var replies: [String] = []
    var events: [String] = []
    /// Given in turn to what is asked.
    var answers: [Answer]

    init(
        _ mechanisms: [String] = ["SCRAM-SHA-256", "PLAIN", "LOGIN"], encrypted: Bool = true, insecure: Bool = false, tls: Bool = true,
        answers: [Answer] = []
    ) {
        let offer = OfferedLogins(mechanisms: mechanisms, needsTLS: !insecure, startsTLS: tls)
        session = AuthorizationSession(offer, host: Array("pop.example".utf8), timestamp: Array(stamp.utf8), isEncrypted: encrypted)
        self.answers = answers
    }

    mutating func say(_ text: String) { perform(session.bytesReceived(Array(text.utf8))) }
    mutating func sayEachByte(_ text: String) { for byte in text.utf8 { perform(session.bytesReceived([byte])) } }

    mutating func perform(_ first: [AuthorizationSession.Action]) {
        var waiting = first[...]
        while let action = waiting.popFirst() {
            switch action {
            case .send(let bytes): replies += bytes.text.split(separator: "\r\n", omittingEmptySubsequences: false).dropLast().map(String.init)
            case .begin(let mechanism, let initial): waiting += ask("begin \(mechanism) \(initial.map(shown) ?? "nil")")
            case .respond(let bytes): waiting += ask("respond \(shown(bytes))")
            case .cancel: events.append("cancel")
            case .startTLS: events.append("tls")
            case .open(let said): events.append("open \(shown(said))")
            case .close: events.append("close")
            case .check: Issue.record("the classic profile's")
            }
        }
    }

    private mutating func ask(_ event: String) -> [AuthorizationSession.Action] {
        events.append(event)
        return answers.isEmpty ? [] : session.answered(answers.removeFirst())
    }

    private func shown(_ bytes: [UInt8]) -> String { "'" + bytes.map { $0 == 0 ? "\\0" : [$0].text }.joined() + "'" }
}

private func base64(_ text: String) -> String { Base64.encode(Array(text.utf8)).text }

@Suite("POP3 before login, modern") struct ModernLoginTests {
    @Test(
        "The greeting holds a timestamp only where APOP can be used",
        arguments: [(["PLAIN"], "+OK pop.example POP3"), (["APOP"], "+OK pop.example POP3 \(stamp)")])
    func greeting(_ mechanisms: [String], _ line: String) {
        var dialog = Dialog(mechanisms)
        dialog.perform(dialog.session.opened())
        #expect(dialog.replies == [line])
    }

    static let always = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8", "LANG"]

    @Test(
        "CAPA (RFC 2449 §5): nothing about logins before TLS",
        arguments: [
            (true, false, true, ["USER", "SASL SCRAM-SHA-256 PLAIN LOGIN"]), (false, false, true, ["STLS"]), (false, false, false, []),
            (false, true, true, ["STLS", "USER", "SASL SCRAM-SHA-256 PLAIN LOGIN"]),
        ])
    func capabilities(_ encrypted: Bool, _ insecure: Bool, _ tls: Bool, _ more: [String]) {
        var dialog = Dialog(encrypted: encrypted, insecure: insecure, tls: tls)
        dialog.say("capa\r\n")
        #expect(dialog.replies == ["+OK "] + Self.always + more + ["."])
    }

    @Test("APOP is no SASL mechanism, and USER needs PLAIN", arguments: [(["APOP"], []), (["CRAM-MD5", "APOP"], ["SASL CRAM-MD5"]), ([], [])])
    func fewMechanisms(_ mechanisms: [String], _ more: [String]) {
        var dialog = Dialog(mechanisms)
        dialog.say("CAPA\r\n")
        #expect(dialog.replies == ["+OK "] + Self.always + more + ["."])
    }

    @Test(
        "No login before TLS (hardening: AUTH)",
        arguments: ["USER joe", "PASS x", "APOP joe d", "AUTH PLAIN", "AUTH PLAIN AGpvZQBw", "AUTH LOGIN", "AUTH SCRAM-SHA-256", "AUTH NONSENSE"])
    func loginBeforeTLS(_ line: String) {
        var dialog = Dialog(["APOP", "PLAIN", "LOGIN", "SCRAM-SHA-256"], encrypted: false)
        dialog.say(line + "\r\n")
        #expect(dialog.replies == ["-ERR [SYS/PERM] no login without TLS"])
        #expect(dialog.events.isEmpty)
    }

    @Test(
        "What is asked",
        arguments: [
            ("USER joe\r\nPASS two words \r\n", "begin PLAIN '\\0joe\\0two words '"), ("APOP joe 0123\r\n", "begin APOP 'joe 0123'"),
            ("AUTH PLAIN\r\n", "begin PLAIN nil"), ("AUTH plain =\r\n", "begin PLAIN ''"), ("AUTH PLAIN AGpvZQBw\r\n", "begin PLAIN '\\0joe\\0p'"),
            ("auth scram-sha-256 biws\r\n", "begin SCRAM-SHA-256 'n,,'"),
        ])
    func begins(_ input: String, _ event: String) {
        for isCut in [false, true] {
            var dialog = Dialog(["SCRAM-SHA-256", "PLAIN", "LOGIN", "APOP"])
            if isCut { dialog.sayEachByte(input) } else { dialog.say(input) }
            #expect(dialog.events == [event])
        }
    }

    @Test(
        "What is none",
        arguments: [
            ("PASS p", "-ERR USER first"), ("USER", "-ERR syntax error"), ("USER joe\0\r\nPASS p", "-ERR syntax error"),
            ("AUTH DIGEST-MD5", "-ERR unknown mechanism"), ("AUTH APOP", "-ERR unknown mechanism"), ("AUTH PLAIN %", "-ERR not base64"),
            ("AUTH PLAIN AGpvZQBw AGpv", "-ERR not base64"), ("AUTH PLAIN AGpvZQBw=", "-ERR not base64"), ("APOP joe d", "-ERR not before the login"),
            ("STLS", "-ERR TLS is in use"), ("LANG de", "-ERR there is English only"),
        ])
    func refusals(_ input: String, _ reply: String) {
        var dialog = Dialog()
        dialog.say(input + "\r\n")
        #expect(dialog.replies.last == reply)
        #expect(dialog.events.isEmpty)
    }

    @Test("A login of several steps, and what follows it in the same piece goes to the mailbox") func challenges() {
        var dialog = Dialog(answers: [.challenge(Array("User Name".utf8)), .challenge(Array("Password".utf8)), .success(final: [])])
        dialog.say("AUTH LOGIN\r\n\(base64("joe"))\r\n\(base64("p"))\r\nSTAT\r\nQU")
        #expect(dialog.replies == ["+ \(base64("User Name"))", "+ \(base64("Password"))"])
        #expect(dialog.events == ["begin LOGIN nil", "respond 'joe'", "respond 'p'", "open 'STAT\r\nQU'"])
        dialog.say("IT\r\n")
        #expect(dialog.events.count == 4, "the rest is not this session's")
    }

    @Test("What a mechanism says with its success is a last challenge (RFC 5034 §4)") func finalWord() {
        let answers: [Dialog.Answer] = [.challenge(Array("r=1".utf8)), .success(final: Array("v=1".utf8))]
        var dialog = Dialog(answers: answers)
        dialog.say("AUTH SCRAM-SHA-256 biws\r\n\(base64("c"))\r\n")
        #expect(dialog.replies == ["+ \(base64("r=1"))", "+ \(base64("v=1"))"])
        #expect(dialog.events == ["begin SCRAM-SHA-256 'n,,'", "respond 'c'"])
        dialog.say("\r\nLIST\r\n")
        #expect(dialog.events.last == "open 'LIST\r\n'")
        var doubtful = Dialog(answers: answers)
        doubtful.say("AUTH SCRAM-SHA-256 biws\r\n\(base64("c"))\r\n*\r\n")
        #expect(doubtful.replies.last == "-ERR login given up", "the server did not prove that it knows the secret")
        #expect(doubtful.events.last == "respond 'c'")
    }

    @Test(
        "A client gives up, or sends nonsense",
        arguments: [("*", "-ERR login given up"), ("%%%", "-ERR not a message of this mechanism"), ("QUIT", "-ERR not a message of this mechanism")])
    func givenUp(_ line: String, _ reply: String) {
        var dialog = Dialog(answers: [.challenge([])])
        dialog.say("AUTH PLAIN\r\n\(line == "QUIT" ? "QUI" : line)\r\nNOOP\r\nCAPA\r\n")
        #expect(Array(dialog.replies.prefix(2)) == ["+ ", reply])
        #expect(dialog.events == ["begin PLAIN nil", "cancel"])
    }

    @Test(
        "Response codes (RFC 3206), and the connection ends with the third failure",
        arguments: [
            (.credentials, "-ERR [AUTH] authorization failed"), (.temporary, "-ERR [SYS/TEMP] logins cannot be checked now"),
            (.throttled, "-ERR [SYS/TEMP] too many failed logins"), (.mechanism, "-ERR [AUTH] not by this mechanism"),
            (.encryptionNeeded, "-ERR [SYS/PERM] no login without TLS"), (.malformed, "-ERR not a message of this mechanism"),
        ] as [(AuthorizationSession.Refusal, String)])
    func failures(_ refusal: AuthorizationSession.Refusal, _ reply: String) {
        var dialog = Dialog(answers: Array(repeating: .failure(refusal), count: 9))
        for _ in 0..<5 { dialog.say("USER joe\r\nPASS p\r\n") }
        #expect(dialog.replies == ["+OK ", reply, "+OK ", reply, "+OK ", reply])
        #expect(dialog.events.last == "close")
        #expect(dialog.events.count == 4)
    }

    @Test("A name is good for one attempt") func userIsForgotten() {
        var dialog = Dialog(answers: [.failure(.credentials)])
        dialog.say("USER joe\r\nPASS p\r\nPASS q\r\n")
        #expect(dialog.replies.last == "-ERR USER first")
    }

    @Test("USER and PASS do not go around a site that has no PLAIN") func passwordsNotOffered() {
        var dialog = Dialog(["SCRAM-SHA-256"])
        dialog.say("USER joe\r\nPASS p\r\n")
        #expect(dialog.replies == ["+OK ", "-ERR [AUTH] not by this mechanism"])
        #expect(dialog.events.isEmpty)
    }

    @Test("Lines have a limit, longer for answers to challenges", arguments: [(12288, false), (12289, true)]) func longAnswers(
        _ count: Int, _ isTooLong: Bool
    ) {
        for end in ["\r\n", "\n"] {
            var dialog = Dialog(answers: [.challenge([]), .failure(.credentials)])
            dialog.say("AUTH PLAIN\r\n" + String(repeating: "A", count: count) + end)
            #expect((dialog.replies.last == "-ERR line too long") == isTooLong)
            #expect(dialog.events.contains("close") == isTooLong)
        }
        var endless = Dialog()
        endless.say(String(repeating: "A", count: 5000))
        #expect(endless.replies == ["-ERR line too long"])
    }

    @Test("Another protocol's lines end the connection before one of them can be ours (hardening: TLS in, ALPACA)") func otherProtocols() {
        var dialog = Dialog()
        dialog.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nUSER joe\r\nPASS p\r\n")
        #expect(dialog.replies == Array(repeating: "-ERR not before the login", count: 3))
        #expect(dialog.events == ["close"])
    }

    @Test("While auth thinks, nothing is taken; the limit of what waits is told") func held() {
        var dialog = Dialog()
        dialog.say("USER joe\r\nPASS p\r\nQUIT\r\n")
        #expect(dialog.replies == ["+OK "])
        #expect(dialog.session.wantsInput)
        dialog.say(String(repeating: "NOOP\r\n", count: 20000))
        #expect(!dialog.session.wantsInput)
        dialog.perform(dialog.session.answered(.failure(.credentials)))
        #expect(dialog.replies == ["+OK ", "-ERR [AUTH] authorization failed", "+OK "])
        #expect(dialog.events.last == "close")
    }

    @Test("A mailbox that cannot be opened") func noMailbox() {
        var dialog = Dialog(answers: [.success(final: [])])
        dialog.say("USER joe\r\nPASS p\r\n")
        dialog.perform(dialog.session.mailboxFailed())
        #expect(dialog.replies.last == "-ERR [SYS/TEMP] the mailbox cannot be opened now")
        #expect(dialog.events.suffix(2) == ["open ''", "close"])
    }

    @Test("STLS: what was said before counts no more (RFC 2595 §4)") func tls() {
        var dialog = Dialog(encrypted: false, insecure: true)
        dialog.say("USER joe\r\nSTLS\r\n")
        #expect(dialog.replies == ["+OK ", "+OK begin TLS negotiation"])
        #expect(dialog.events == ["tls"])
        dialog.say("USER mallory\r\n")
        #expect(dialog.replies.count == 2, "what is not TLS is not read")
    }

    @Test("Nothing may follow STLS, in one piece or another (hardening: PIPE/TLS, CVE-2011-0411)", arguments: ["NOOP\r\n", "U", "\n"])
    func injection(_ injected: String) {
        var dialog = Dialog(encrypted: false)
        dialog.say("STLS\r\n" + injected)
        #expect(dialog.replies == ["-ERR nothing may follow STLS"])
        #expect(dialog.events == ["close"])
    }

    @Test("UTF8 and LANG (RFC 6856), before the login") func languages() {
        var dialog = Dialog()
        dialog.say("UTF8\r\nLANG\r\nLANG *\r\nLANG EN\r\nAUTH\r\n")
        #expect(
            dialog.replies == ["+OK ", "+OK ", "en English", ".", "+OK en English", "+OK en English", "+OK ", "SCRAM-SHA-256", "PLAIN", "LOGIN", "."])
    }
}
