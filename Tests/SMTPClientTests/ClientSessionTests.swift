import Addresses
import SMTPClient
import Testing

/// Plays a server's lines against a session and writes down what happens, one line an event:
/// `s:` what the server says, `c:` what the client sends, `r:` reports, `=` other actions.
struct Dialogue {
    private(set) var session: ClientSession
    private(set) var log: [String] = []
    private var content: [ArraySlice<UInt8>]

    init(content: [String] = ["Subject: x\n\nbody\n"], demand: ConnectionDemand = ConnectionDemand()) {
        session = ClientSession(peer: "1.2.3.4", heloHost: Array("us.example".utf8), demand: demand)
        self.content = content.map { Array($0.utf8)[...] }
    }

    mutating func begin(_ sender: String = "s@a", _ recipients: [String] = ["r@b"]) {
        var summary = ContentSummary()
        for piece in content { summary.add(piece) }
        let addresses = recipients.compactMap { Address($0.utf8) }
        take(session.begin(MailTransaction(sender: Address(sender.utf8) ?? .null, recipients: addresses, content: summary)))
    }

    mutating func say(_ text: String) { take(session.received(Array(text.utf8))) }
    mutating func drop() { take(session.connectionClosed()) }
    mutating func expire() { take(session.deadlinePassed()) }
    mutating func failContent() { take(session.contentFailed()) }
    mutating func tlsStarted() { take(session.tlsStarted()) }
    mutating func tlsFailed(_ reason: String) { take(session.tlsFailed(reason)) }
    mutating func quit() { take(session.quit()) }

    private mutating func take(_ actions: [ClientSession.Action]) {
        for action in actions {
            switch action {
            case .send(let bytes):
                log += String(decoding: bytes, as: UTF8.self).replacing("\r\n", with: "\n").split(separator: "\n").map { "c:\($0)" }
            case .restartDeadline: break
            case .readContent:
                guard !content.isEmpty else { return log.append("=read") }
                let piece = content.removeFirst()
                take(session.contentRead(piece, isLast: content.isEmpty))
            case .finish(let report):
                log += report.combined.map { "r:\($0.class)|\(String(decoding: $0.text, as: UTF8.self).replacing("\n", with: "/"))" }
            case .passOn(let report):
                log += report.combined.map { "p:\($0.class)|\(String(decoding: $0.text, as: UTF8.self).replacing("\n", with: "/"))" }
            case .startTLS: log.append("=TLS")
            case .giveBack: log.append("=giveBack")
            case .idle: log.append("=idle")
            case .close: log.append("=close")
            }
        }
    }

    /// What happened since the last call.
    mutating func happened() -> [String] {
        defer { log = [] }
        return log
    }
}

private let plain = "250 hi\r\n"
private let pipelining = "250-hi\r\n250 PIPELINING\r\n"
private let everything = "250-hi\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n"

@Suite struct ClientSessionTests {
    @Test func stepByStepWithoutPipelining() {
        var dialogue = Dialogue()
        dialogue.begin()
        #expect(dialogue.happened() == [])
        let steps: [(String, [String])] = [
            ("220 hello\r\n", ["c:EHLO us.example"]),
            (plain, ["c:MAIL FROM:<s@a>"]),
            ("250 ok\r\n", ["c:RCPT TO:<r@b>"]),
            ("250 ok\r\n", ["c:DATA"]),
            ("354 go\r\n", ["c:Subject: x", "c:body", "c:."]),
            ("250 ok 123\r\n", ["r:delivered|1.2.3.4 accepted message./Remote host said: 250 ok 123/", "=idle"]),
        ]
        for (line, expected) in steps {
            dialogue.say(line)
            #expect(dialogue.happened() == expected)
        }
        dialogue.quit()
        #expect(dialogue.happened() == ["c:QUIT", "=close"])
    }

    @Test func allAtOnceWithPipelining() {
        var dialogue = Dialogue()
        dialogue.begin("", ["r@b", "q@b"])
        dialogue.say("220 hello\r\n")
        dialogue.say(pipelining)
        #expect(dialogue.happened() == ["c:EHLO us.example", "c:MAIL FROM:<>", "c:RCPT TO:<r@b>", "c:RCPT TO:<q@b>", "c:DATA"])
        dialogue.say("250 ok\r\n250 ok\r\n550 no q\r\n354 go\r\n")
        dialogue.say("250 done\r\n")
        #expect(
            dialogue.happened().suffix(3) == [
                "r:delivered|1.2.3.4 accepted message./Remote host said: 250 done/",
                "r:failed|1.2.3.4 does not like recipient./Remote host said: 550 no q/",
                "=idle",
            ])
    }

    @Test func everyExtension() {
        var dialogue = Dialogue(content: ["Subject: gr\u{FC}n\n", ".\n", "end"])
        dialogue.begin("s\u{E4}@a", ["r@b"])
        dialogue.say("220 hello\r\n")
        dialogue.say(everything)
        #expect(
            dialogue.happened() == [
                "c:EHLO us.example", "c:MAIL FROM:<\"s\u{E4}\"@a> SIZE=22 BODY=8BITMIME SMTPUTF8", "c:RCPT TO:<r@b>",
            ])
        dialogue.say("250 ok\r\n250 ok\r\n")
        #expect(dialogue.happened() == ["c:BDAT 16", "c:Subject: gr\u{FC}n", "c:BDAT 3", "c:.", "c:BDAT 5 LAST", "c:end"])
        dialogue.say("250 ok\r\n250 ok\r\n")
        #expect(dialogue.happened() == [])
        dialogue.say("250 taken\r\n")
        #expect(dialogue.happened() == ["r:delivered|1.2.3.4 accepted message./Remote host said: 250 taken/", "=idle"])
    }

    @Test func chunksWaitWithoutPipelining() {
        var dialogue = Dialogue(content: ["one\n", "two\n"])
        dialogue.begin()
        for line in ["220 x\r\n", "250-x\r\n250 chunking\r\n", "250 ok\r\n", "250 ok\r\n"] { dialogue.say(line) }
        #expect(dialogue.happened().suffix(2) == ["c:BDAT 5", "c:one"])
        dialogue.say("250 ok\r\n")
        #expect(dialogue.happened() == ["c:BDAT 5 LAST", "c:two"])
        dialogue.say("552 too much\r\n")
        #expect(dialogue.happened() == ["r:failed|1.2.3.4 failed after I sent the message./Remote host said: 552 too much/", "=idle"])
    }

    @Test func aRefusedChunkEndsTheConnection() {
        var dialogue = Dialogue(content: ["one\n", "two\n"])
        dialogue.begin()
        for line in ["220 x\r\n", "250-x\r\n250 chunking\r\n", "250 ok\r\n", "250 ok\r\n", "452 full\r\n"] { dialogue.say(line) }
        #expect(dialogue.happened().suffix(2) == ["r:deferred|1.2.3.4 failed after I sent the message./Remote host said: 452 full/", "=close"])
    }

    @Test func heloWhenEHLOIsUnknown() {
        var dialogue = Dialogue()
        dialogue.begin()
        for line in ["220 x\r\n", "502 what\r\n", "250 ok\r\n"] { dialogue.say(line) }
        #expect(dialogue.happened() == ["c:EHLO us.example", "c:HELO us.example", "c:MAIL FROM:<s@a>"])
    }

    @Test func severalMessagesOnOneConnection() {
        var dialogue = Dialogue(content: ["a\n", "b\n"])
        dialogue.say("220 x\r\n")
        dialogue.say(pipelining)
        #expect(dialogue.happened() == ["c:EHLO us.example", "=idle"])
        dialogue.begin()
        #expect(dialogue.happened() == ["c:MAIL FROM:<s@a>", "c:RCPT TO:<r@b>", "c:DATA"])
        dialogue.say("250 ok\r\n550 no\r\n503 none\r\n")
        #expect(
            dialogue.happened() == [
                "r:failed|1.2.3.4 does not like recipient./Remote host said: 550 no/Giving up on 1.2.3.4./", "c:RSET",
            ])
        dialogue.begin("t@a")
        #expect(dialogue.happened() == [])
        dialogue.say("250 reset\r\n")
        #expect(dialogue.happened() == ["c:MAIL FROM:<t@a>", "c:RCPT TO:<r@b>", "c:DATA"])
        dialogue.say("550 bad sender\r\n503 none\r\n503 none\r\n")
        #expect(dialogue.happened() == ["r:failed|Connected to 1.2.3.4 but sender was rejected./Remote host said: 550 bad sender/", "=idle"])
        dialogue.begin("u@a")
        #expect(dialogue.happened().first == "c:MAIL FROM:<u@a>")
    }

    /// RFC 2920 §3.1: 354 for a message without recipients is answered with the dot alone.
    @Test func dataAcceptedWithoutRecipients() {
        var dialogue = Dialogue()
        dialogue.begin()
        for line in ["220 x\r\n", pipelining, "250 ok\r\n450 later\r\n354 go\r\n"] { dialogue.say(line) }
        #expect(dialogue.happened().last == "c:.")
        dialogue.say("554 no recipients\r\n")
        #expect(
            dialogue.happened() == [
                "r:deferred|1.2.3.4 does not like recipient./Remote host said: 450 later/Giving up on 1.2.3.4./", "=idle",
            ])
    }

    static let died = "r:deferred|Connected to 1.2.3.4 but connection died. (#4.4.2)/"
    static let duplicate = "r:deferred|Connected to 1.2.3.4 but connection died. Possible duplicate! (#4.4.2)/"

    /// Each step of a dialogue without PIPELINING, refused in each way.
    @Test(arguments: [
        (["421 busy\r\n"], "r:deferred|Connected to 1.2.3.4 but greeting failed./Remote host said: 421 busy/"),
        (["554 no\r\n"], "r:deferred|Connected to 1.2.3.4 but greeting failed./Remote host said: 554 no/"),
        (["250 odd\r\n"], "r:deferred|Connected to 1.2.3.4 but greeting failed./Remote host said: 250 odd/"),
        (["220 x\r\n", "451 no\r\n"], "r:deferred|Connected to 1.2.3.4 but my name was rejected./Remote host said: 451 no/"),
        (["220 x\r\n", "421 no\r\n"], "r:deferred|Connected to 1.2.3.4 but my name was rejected./Remote host said: 421 no/"),
        (["220 x\r\n", "500 no\r\n", "550 no\r\n"], "r:deferred|Connected to 1.2.3.4 but my name was rejected./Remote host said: 550 no/"),
        (["220 x\r\n", plain, "451 no\r\n"], "r:deferred|Connected to 1.2.3.4 but sender was rejected./Remote host said: 451 no/"),
        (["220 x\r\n", plain, "421 no\r\n"], "r:deferred|Connected to 1.2.3.4 but sender was rejected./Remote host said: 421 no/"),
        (["220 x\r\n", plain, "553 no\r\n"], "r:failed|Connected to 1.2.3.4 but sender was rejected./Remote host said: 553 no/"),
        (["220 x\r\n", plain, plain, "450 a\r\n"], "r:deferred|1.2.3.4 does not like recipient./Remote host said: 450 a/Giving up on 1.2.3.4./"),
        (
            ["220 x\r\n", plain, plain, "550-a\r\n550 b\r\n"],
            "r:failed|1.2.3.4 does not like recipient./Remote host said: 550-a/550 b/Giving up on 1.2.3.4./"
        ),
        (
            ["220 x\r\n", plain, plain, "421 bye\r\n"],
            "r:deferred|1.2.3.4 does not like recipient./Remote host said: 421 bye/Giving up on 1.2.3.4./"
        ),
        (["220 x\r\n", plain, plain, plain, "451 no\r\n"], "r:deferred|1.2.3.4 failed on DATA command./Remote host said: 451 no/"),
        (["220 x\r\n", plain, plain, plain, "554 no\r\n"], "r:failed|1.2.3.4 failed on DATA command./Remote host said: 554 no/"),
        (
            ["220 x\r\n", plain, plain, plain, "354 go\r\n", "451 no\r\n"],
            "r:deferred|1.2.3.4 failed after I sent the message./Remote host said: 451 no/"
        ),
        (
            ["220 x\r\n", plain, plain, plain, "354 go\r\n", "421 no\r\n"],
            "r:deferred|1.2.3.4 failed after I sent the message./Remote host said: 421 no/"
        ),
        (
            ["220 x\r\n", plain, plain, plain, "354 go\r\n", "554 spam\r\n"],
            "r:failed|1.2.3.4 failed after I sent the message./Remote host said: 554 spam/"
        ),
        // Out of step.
        (["220 x\r\n", plain, plain, plain, "250 go\r\n"], died), (["220 x\r\n", plain, "354 go\r\n"], died),
        (["220 x\r\n", plain, plain, plain, "354 go\r\n", "354 go\r\n"], duplicate),
        (["220 x\r\n", pipelining, "250 ok\r\n250 ok\r\n250 extra\r\n354 go\r\n"], died),
        // What is no reply, or comes before its time.
        (["SSH-2.0-x\r\n"], died), (["220 x\r\n250 early\r\n"], died), (["220 x\r\n", "250 hi\r\n250 early\r\n"], died),
        (["220 x\r\n", plain, "garbage\r\n"], died), (["220 x\r\n", plain, plain, plain, "354 go\r\n250 taken\r\n"], died),
        (["220 x\r\n", plain, plain, plain, "354 go\r\n", "garbage\r\n"], duplicate),
    ])
    func refusals(_ lines: [String], _ report: String) {
        var dialogue = Dialogue()
        dialogue.begin()
        for line in lines { dialogue.say(line) }
        let reports = dialogue.happened().filter { $0.hasPrefix("r:") }
        #expect(reports == [report])
    }

    /// The connection ends, or the deadline passes, after each step, with and without PIPELINING.
    @Test(arguments: [plain, pipelining], [false, true]) func deathAtEachStep(_ extensions: String, _ byDeadline: Bool) {
        let lines =
            extensions == plain
            ? ["220 x\r\n", plain, plain, plain, "354 go\r\n"] : ["220 x\r\n", pipelining, plain, plain, "354 go\r\n"]
        for count in 0...lines.count {
            var dialogue = Dialogue()
            dialogue.begin()
            for line in lines.prefix(count) { dialogue.say(line) }
            if byDeadline { dialogue.expire() } else { dialogue.drop() }
            let expected = count == lines.count ? Self.duplicate : Self.died
            #expect(dialogue.happened().suffix(2) == [expected, "=close"])
        }
    }

    @Test func aVerdictIsBelievedButGarbageBehindItClosesTheConnection() {
        var dialogue = Dialogue()
        dialogue.begin()
        for line in ["220 x\r\n", plain, plain, plain, "354 go\r\n", "250 ok\r\nnonsense"] { dialogue.say(line) }
        #expect(dialogue.happened().suffix(2) == ["r:delivered|1.2.3.4 accepted message./Remote host said: 250 ok/", "=close"])
    }

    /// A server may refuse the rest of a message; it may not accept what it has not got.
    @Test(arguments: [
        ("552 too long\r\n", "r:failed|1.2.3.4 failed after I sent the message./Remote host said: 552 too long/"), ("250 ok\r\n", died),
    ])
    func repliesDuringContent(_ line: String, _ report: String) {
        var session = ClientSession(peer: "1.2.3.4", heloHost: [0x75])
        let recipient = [Address("r@b".utf8)].compactMap { $0 }
        _ = session.begin(MailTransaction(sender: .null, recipients: recipient, content: ContentSummary("ab\n".utf8)))
        for reply in ["220 x\r\n", plain, plain, plain, "354 go\r\n"] { _ = session.received(reply.utf8) }
        #expect(session.contentRead(Array("a".utf8)[...], isLast: false) == [.restartDeadline, .send(Array("a".utf8)), .readContent])
        let actions = session.received(line.utf8)
        guard case .finish(let ended) = actions.dropFirst().first, let found = ended.combined.first else { return #expect(Bool(false)) }
        #expect("r:\(found.class)|\(String(decoding: found.text, as: UTF8.self).replacing("\n", with: "/"))" == report)
        #expect(actions.last == .close)
        #expect(session.contentRead(Array("b\n".utf8)[...], isLast: true) == [])
    }

    /// On a kept connection a message that the server never heard of goes to another connection.
    @Test(arguments: ["", "421 idle too long\r\n"]) func staleConnections(_ line: String) {
        var dialogue = Dialogue(content: ["a\n", "b\n"])
        dialogue.begin("s@a", [])
        for reply in ["220 x\r\n", pipelining] { dialogue.say(reply) }
        dialogue.begin()
        _ = dialogue.happened()
        if line.isEmpty { dialogue.drop() } else { dialogue.say(line) }
        #expect(dialogue.happened() == ["=giveBack", "=close"])
        dialogue.begin()
        #expect(dialogue.happened() == ["=giveBack"])
    }

    @Test func anIdleConnectionThatSpeaksIsClosed() {
        var dialogue = Dialogue()
        for reply in ["220 x\r\n", plain, "421 bye\r\n"] { dialogue.say(reply) }
        #expect(dialogue.happened().suffix(2) == ["=idle", "=close"])
    }

    @Test func internationalAddressesNeedTheExtension() {
        var dialogue = Dialogue()
        dialogue.begin("s@a", ["gr\u{FC}n@b", "r@b"])
        for reply in ["220 x\r\n", pipelining, plain, plain, "354 go\r\n", "250 ok\r\n"] { dialogue.say(reply) }
        #expect(
            dialogue.happened().suffix(3) == [
                "r:failed|Connected to 1.2.3.4 but it does not take internationalized addresses. (#5.6.7)/",
                "r:delivered|1.2.3.4 accepted message./Remote host said: 250 ok/", "=idle",
            ])
    }

    @Test func eightBitContentGoesToAnyServer() {
        var dialogue = Dialogue(content: ["\u{E9}\n"])
        dialogue.begin()
        for reply in ["220 x\r\n", plain] { dialogue.say(reply) }
        #expect(dialogue.happened().last == "c:MAIL FROM:<s@a>")
    }

    @Test func nulNeverLeaves() {
        var dialogue = Dialogue(content: ["a\u{0}b\n"])
        dialogue.begin()
        #expect(dialogue.happened() == ["r:failed|SMTP cannot transfer messages with NUL bytes. (#5.6.1)/"])
    }

    @Test(arguments: ["r@b> SIZE=1", "r@b c", "r@<b", "\u{1B}r@b"]) func addressesCannotSmuggleParameters(_ recipient: String) {
        var dialogue = Dialogue()
        dialogue.begin("s@a", [recipient])
        for reply in ["220 x\r\n", plain] { dialogue.say(reply) }
        #expect(dialogue.happened().suffix(2) == ["r:failed|SMTP cannot transfer this address. (#5.1.3)/", "=idle"])
    }

    @Test func contentThatCannotBeRead() {
        var dialogue = Dialogue()
        dialogue.begin()
        for reply in ["220 x\r\n", plain, plain, plain] { dialogue.say(reply) }
        dialogue.failContent()
        #expect(dialogue.happened().suffix(2) == ["r:deferred|Unable to read message. (#4.3.0)/", "=close"])
    }

    @Test func aDroppingServerAfterSomeRefusals() {
        var dialogue = Dialogue()
        dialogue.begin("s@a", ["r@b", "q@b", "p@b"])
        for reply in ["220 x\r\n", pipelining, "250 ok\r\n550 no\r\n451 later\r\n250 ok\r\n354 go\r\n"] { dialogue.say(reply) }
        dialogue.drop()
        #expect(
            dialogue.happened().suffix(4) == [
                "r:failed|1.2.3.4 does not like recipient./Remote host said: 550 no/",
                "r:deferred|1.2.3.4 does not like recipient./Remote host said: 451 later/"
                    + "Connected to 1.2.3.4 but connection died. Possible duplicate! (#4.4.2)/",
                Self.duplicate, "=close",
            ])
    }
}
