import Bytes
import POP3
import Testing

/// A maildrop in memory.
private struct Dialog {
    var session: MaildropSession
    let contents: [String?]
    /// How content is cut.
    var pieceSize = Int.max
    var failures = 0
    var output: [UInt8] = []
    var removed: Set<Int>?
    var isClosed = false
    var bytesRead = 0

    init(_ contents: [String?], names: [String]? = nil, _ profile: Profile = .classic) {
        self.contents = contents
        let names = names ?? contents.indices.map { "name\($0)" }
        session = MaildropSession(profile, zip(contents, names).map { .init(bytes: UInt64($0?.utf8.count ?? 0), name: Array($1.utf8)) })
    }

    mutating func say(_ text: String) { perform(session.bytesReceived(Array(text.utf8))) }
    mutating func sayEachByte(_ text: String) { for byte in text.utf8 { perform(session.bytesReceived([byte])) } }

    mutating func perform(_ first: [MaildropSession.Action]) {
        var waiting = first[...]
        while let action = waiting.popFirst() {
            switch action {
            case .send(let bytes): output += bytes
            case .retrieve(let index): waiting += retrieve(index)
            case .update(let removing):
                removed = removing
                waiting += session.updated(failures: failures)
            case .close: isClosed = true
            }
        }
    }

    private mutating func retrieve(_ index: Int) -> [MaildropSession.Action] {
        guard let content = contents[index] else { return session.retrievalFailed() }
        var actions = session.retrievalBegan()
        var left = Array(content.utf8)[...]
        while session.wantsContent, !left.isEmpty {
            let piece = left.prefix(pieceSize)
            left = left[piece.endIndex...]
            bytesRead += piece.count
            actions += session.contentReceived(piece)
        }
        return actions + session.contentEnded()
    }

    static func replies(_ input: String, _ contents: [String?], names: [String]? = nil, _ profile: Profile = .classic) -> String {
        var dialog = Dialog(contents, names: names, profile)
        dialog.say(input)
        return dialog.output.text
    }
}

private let three: [String?] = ["Subject: two\n\nshort", "From: a\nSubject: one\n\nline 1\n.dot\n..two\nlast\n", "Subject: headers only\n"]

@Suite("POP3 after login (qmail §16.3)") struct MaildropSessionTests {
    @Test("The greeting") func greeting() {
        var dialog = Dialog(three)
        dialog.perform(dialog.session.opened())
        #expect(dialog.output.text == "+OK \r\n")
    }

    @Test(
        "Commands and replies",
        arguments: [
            ("STAT\r\nstat x\r\nNOOP y\r\n", "+OK 3 86\r\n+OK 3 86\r\n+OK \r\n"),
            ("LIST\r\n", "+OK \r\n1 19\r\n2 45\r\n3 22\r\n.\r\n"), ("UIDL\r\n", "+OK \r\n1 name0\r\n2 name1\r\n3 name2\r\n.\r\n"),
            ("LIST 2\r\nUIDL 3\r\nLIST 1x\r\nLIST 1 2\r\n", "+OK 2 45\r\n+OK 3 name2\r\n+OK 1 19\r\n+OK 1 19\r\n"),
            ("DELE 1\r\nSTAT\r\nLIST\r\nLAST\r\n", "+OK \r\n+OK 3 67\r\n+OK \r\n2 45\r\n3 22\r\n.\r\n+OK 1\r\n"),
            ("DELE 3\r\nDELE 1\r\nLAST\r\nRSET\r\nLAST\r\nSTAT\r\n", "+OK \r\n+OK \r\n+OK 3\r\n+OK \r\n+OK 0\r\n+OK 3 86\r\n"),
            ("DELE 1\r\nDELE 1\r\nRETR 1\r\nTOP 1 1\r\nUIDL 1\r\n", "+OK \r\n" + String(repeating: "-ERR already deleted\r\n", count: 4)),
            ("FOO\r\nCAPA\r\n\r\nUSER x\r\n", String(repeating: "-ERR unimplemented\r\n", count: 4)),
            (String(repeating: "x", count: 1025) + "\r\nNOOP\r\n", "-ERR line too long\r\n"),
        ])
    func replies(_ input: String, _ replies: String) {
        #expect(Dialog.replies(input, three) == replies)
        var cut = Dialog(three)
        cut.sayEachByte(input)
        #expect(cut.output.text == replies)
    }

    @Test("Numbers", arguments: ["RETR", "TOP", "DELE", "LIST", "UIDL"]) func numbers(_ verb: String) {
        let syntax = "-ERR syntax error\r\n"
        let beyond = "-ERR not that many messages\r\n"
        for (number, reply) in [
            ("x", syntax), ("-1", syntax), ("+1", syntax), ("\0", syntax), ("0", "-ERR messages are counted from 1\r\n"),
            ("00", "-ERR messages are counted from 1\r\n"), ("4", beyond), ("2147483648", beyond), ("4294967296", beyond), ("4294967297", beyond),
            ("9223372036854775808", beyond), ("18446744073709551617", beyond), (String(repeating: "9", count: 40), beyond),
        ] { #expect(Dialog.replies("\(verb) \(number)\r\n", three) == reply, "\(number)") }
    }

    @Test("An empty maildrop") func empty() {
        #expect(Dialog.replies("STAT\r\nLIST\r\nUIDL\r\nLIST 1\r\n", []) == "+OK 0 0\r\n+OK \r\n.\r\n+OK \r\n.\r\n-ERR not that many messages\r\n")
    }

    @Test(
        "RETR and TOP",
        arguments: [
            (0, "RETR 1", "Subject: two\r\n\r\nshort\r\n"), (0, "TOP 1 0", "Subject: two\r\n\r\n"), (0, "TOP 1 1", "Subject: two\r\n\r\nshort\r\n"),
            (1, "TOP 2 0", "From: a\r\nSubject: one\r\n\r\n"), (1, "TOP 2 1", "From: a\r\nSubject: one\r\n\r\nline 1\r\n"),
            (1, "RETR 2 2", "From: a\r\nSubject: one\r\n\r\nline 1\r\n..dot\r\n"),
            (1, "TOP 2 100", "From: a\r\nSubject: one\r\n\r\nline 1\r\n..dot\r\n...two\r\nlast\r\n"),
            (1, "TOP 2 99999999999999999999", "From: a\r\nSubject: one\r\n\r\nline 1\r\n..dot\r\n...two\r\nlast\r\n"),
            (1, "TOP 2 -1", "From: a\r\nSubject: one\r\n\r\nline 1\r\n..dot\r\n...two\r\nlast\r\n"),
            (1, "TOP 2", "From: a\r\nSubject: one\r\n\r\nline 1\r\n..dot\r\n...two\r\nlast\r\n"), (2, "TOP 3 0", "Subject: headers only\r\n"),
        ])
    func contents(_ index: Int, _ command: String, _ shown: String) {
        for pieceSize in [1, 2, 3, 7, .max] {
            var dialog = Dialog(three)
            dialog.pieceSize = pieceSize
            dialog.say("\(command)\r\nNOOP\r\n")
            #expect(dialog.output.text == "+OK \r\n\(shown)\r\n.\r\n+OK \r\n")
        }
    }

    @Test(
        "Lines of the output: no bare CR, dots doubled where a line of the output begins (hardening: dot-stuffing)",
        arguments: [
            ("", ""), ("\n\n", "\r\n\r\n"), ("A: x\n\nb\r\nc\r\r\n.\r\n", "A: x\r\n\r\nb\r\nc \r\n..\r\n"), ("a\r.\n", "a .\r\n"),
            ("\r.\r.\r", " . . \r\n"),
            (".", "..\r\n"), ("x\n.\n", "x\r\n..\r\n"),
        ])
    func lineEnds(_ content: String, _ shown: String) {
        for pieceSize in [1, .max] {
            var dialog = Dialog([content])
            dialog.pieceSize = pieceSize
            dialog.say("RETR 1\r\n")
            #expect(dialog.output.text == "+OK \r\n\(shown)\r\n.\r\n")
        }
    }

    @Test("TOP reads no more than it shows; a line of CR LF ends the header too") func topStops() {
        var dialog = Dialog(["A: b\r\n\r\n1\r\n2\r\n" + String(repeating: "x\r\n", count: 10_000)])
        dialog.pieceSize = 100
        dialog.say("TOP 1 1\r\n")
        #expect(dialog.output.text == "+OK \r\nA: b\r\n\r\n1\r\n\r\n.\r\n")
        #expect(dialog.bytesRead <= 100)
    }

    @Test("A message that is gone") func gone() {
        #expect(Dialog.replies("RETR 1\r\nRETR 2\r\n", [nil, ""]) == "-ERR unable to open that message\r\n+OK \r\n\r\n.\r\n")
    }

    @Test("QUIT removes what was deleted; nothing else does") func update() {
        var dialog = Dialog(three)
        dialog.say("DELE 1\r\nDELE 3\r\n")
        #expect(dialog.removed == nil)
        dialog.failures = 2
        dialog.say("QUIT\r\nSTAT\r\n")
        #expect(dialog.removed == [0, 2])
        let failure = "-ERR unable to unlink all deleted messages\r\n"
        #expect(dialog.output.text == "+OK \r\n+OK \r\n" + failure + failure + "+OK \r\n")
        #expect(dialog.isClosed)
    }

    @Test(
        "The modern profile: as RFC 1939 and its extensions have it",
        arguments: [
            ("STAT\r\n", "+OK 3 86\r\n"), ("DELE 1\r\nSTAT\r\nNOOP\r\n", "+OK \r\n+OK 2 67\r\n+OK \r\n"),
            ("RETR 3\r\n", "+OK \r\nSubject: headers only\r\n.\r\n"), ("TOP 1 0\r\n", "+OK \r\nSubject: two\r\n\r\n.\r\n"),
            ("RETR 1\r\n", "+OK \r\nSubject: two\r\n\r\nshort\r\n.\r\n"), ("LANG\r\n", "+OK \r\nen English\r\n.\r\n"),
            ("CAPA\r\n", "+OK \r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUTF8\r\nLANG\r\n.\r\n"),
            ("STLS\r\nUTF8\r\nUSER x\r\n", "-ERR unimplemented\r\n-ERR unimplemented\r\n-ERR unimplemented\r\n"),
        ])
    func modern(_ input: String, _ replies: String) { #expect(Dialog.replies(input, three, .modern) == replies) }

    @Test(
        "One reply to QUIT, whatever could not be removed",
        arguments: [(0, "+OK \r\n"), (2, "-ERR [SYS/TEMP] some deleted messages could not be removed\r\n")])
    func modernUpdate(_ failures: Int, _ reply: String) {
        var dialog = Dialog(three, .modern)
        dialog.failures = failures
        dialog.say("QUIT\r\n")
        #expect(dialog.output.text == reply)
        #expect(dialog.isClosed)
    }

    @Test("A maildrop of 100,000 messages is listed in one piece") func large() {
        let count = 100_000
        var session = MaildropSession(.classic, (0..<count).map { .init(bytes: 10, name: Array("\($0).M1P2Q3.host".utf8)) })
        var bytes = 0
        for action in session.bytesReceived(Array("LIST\r\nUIDL\r\n".utf8) + Array(String(repeating: "STAT\r\nDELE 7\r\nLAST\r\n", count: 1000).utf8))
        {
            if case .send(let sent) = action { bytes += sent.count }
        }
        #expect(bytes > 2 * count * 10)
    }
}

@Suite("Unique-ids (RFC 1939 §7)") struct UniqueIDsTests {
    private let odd = ["", "=x", "a b", "ümlaut", "tab\t", String(repeating: "n", count: 71), "nul\0", "=6c62272e07bb014262b821756295c58d"]

    @Test("A name that can stand for itself does") func names() {
        let names = ["1700000000.M1P2Q3.host", "a", String(repeating: "n", count: 70), "~!"]
        #expect(UniqueIDs.of(names.map { Array($0.utf8) }).map(\.text) == names)
    }

    @Test("Others have ids of the allowed bytes, the same each time, whatever stands beside them") func oddNames() {
        let names = odd.map { Array($0.utf8) }
        let ids = UniqueIDs.of(names)
        #expect(Set(ids).count == names.count)
        for id in ids { #expect(id.count == 33 && id.allSatisfy { $0 >= 0x21 && $0 <= 0x7E }) }
        #expect(UniqueIDs.of(names.reversed()) == ids.reversed())
        #expect(UniqueIDs.of([[]]).map(\.text) == ["=6c62272e07bb014262b821756295c58d"], "the offset basis of FNV-1a of 128 bits")
        #expect(UniqueIDs.of([Array("a b".utf8)]).map(\.text) == ["=a68d62c6038b5822836dbc79780dff7a"])
    }

    @Test("Two messages of one name have two ids; the first is its name") func copies() {
        let ids = UniqueIDs.of(["a", "b", "a", "a"].map { Array($0.utf8) })
        #expect(Set(ids).count == 4)
        #expect(ids[0].text == "a")
        #expect(UniqueIDs.of(["a", "a", "a"].map { Array($0.utf8) }) == [ids[0], ids[2], ids[3]])
    }
}
