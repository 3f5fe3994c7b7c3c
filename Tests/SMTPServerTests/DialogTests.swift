import Addresses
import Bytes
import Reception
import SMTPServer
import Testing

/// Commands and their replies, in order: `c` is said, `s` is answered. RFC 5321 §4.1, spec-qmail §13.2.
@Suite struct DialogTests {
    typealias Line = (c: String, s: String)

    private func run(_ profile: Profile, _ lines: [Line], client: Client = Client(), policy: Policy = Dialog.policy) {
        let dialog = Dialog(profile, policy: policy, client: client)
        for line in lines { #expect(dialog.exchange(line.c + "\r\n") == line.s + "\r\n", "after \(line.c)") }
    }

    @Test func greetings() {
        #expect(Dialog(.modern, greets: true).replies() == "220 mx.example ESMTP\r\n")
        #expect(Dialog(.classic, greets: true).replies() == "220 mx.example ESMTP\r\n")
    }

    @Test func classicCommands() {
        run(
            .classic,
            [
                ("HELO c", "250 mx.example"), ("ehlo c", "250-mx.example\r\n250-PIPELINING\r\n250 8BITMIME"), ("helo", "250 mx.example"),
                ("NOOP x", "250 ok"), ("RSET", "250 flushed"), ("VRFY joe", "252 send some mail, i'll try my best"),
                ("HELP", "214 notqmail home page: https://notqmail.org"), ("STARTTLS", "502 unimplemented (#5.5.1)"),
                ("", "502 unimplemented (#5.5.1)"),
                ("BDAT 3 LAST", "502 unimplemented (#5.5.1)"), ("MAILFROM:<s@x>", "502 unimplemented (#5.5.1)"), ("QUIT", "221 mx.example"),
            ])
    }

    @Test func modernCommands() {
        run(
            .modern,
            [
                ("HELO c", "250 mx.example"),
                (
                    "EHLO c",
                    "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 0\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n250 CHUNKING"
                ),
                ("NOOP", "250 2.0.0 ok"), ("RSET", "250 2.0.0 flushed"), ("VRFY joe", "252 2.0.0 send some mail, i'll try my best"),
                ("HELP", "214 2.0.0 Martlet: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT"), ("AUTH PLAIN", "502 5.5.1 unimplemented (#5.5.1)"),
                ("EXPN list", "502 5.5.1 unimplemented (#5.5.1)"), ("QUIT", "221 2.0.0 mx.example"),
            ])
    }

    @Test func orderOfCommands() {
        let mail = ("MAIL FROM:<s@x.example>", "250 2.1.0 ok")
        let rcpt = ("RCPT TO:<r@ok.example>", "250 2.1.5 ok")
        run(
            .modern,
            [
                ("RCPT TO:<r@ok.example>", "503 5.5.1 MAIL first (#5.5.1)"), ("DATA", "503 5.5.1 MAIL first (#5.5.1)"), mail,
                ("DATA", "503 5.5.1 RCPT first (#5.5.1)"), rcpt, ("RSET", "250 2.0.0 flushed"), ("DATA", "503 5.5.1 MAIL first (#5.5.1)"),
                mail, rcpt, mail, ("DATA", "503 5.5.1 RCPT first (#5.5.1)"), rcpt, ("HELO c", "250 mx.example"),
                ("DATA", "503 5.5.1 MAIL first (#5.5.1)"),
            ])
        run(
            .classic,
            [
                ("RCPT TO:<r@ok.example>", "503 MAIL first (#5.5.1)"), ("MAIL", "250 ok"), ("DATA", "503 RCPT first (#5.5.1)"), ("RCPT", "250 ok"),
                ("DATA", "354 go ahead"),
            ])
    }

    /// RFC 5321 §4.1.2, with the two liberties of ``MailPath``.
    @Test(arguments: [
        ("FROM:<s@x.example>", "250 2.1.0 ok"), ("from:<>", "250 2.1.0 ok"), ("FROM: <s@x.example>", "250 2.1.0 ok"),
        ("FROM:s@x.example", "250 2.1.0 ok"),
        ("FROM:<s@x.example> BODY=8BITMIME SIZE=100", "250 2.1.0 ok"), ("FROM:<s@x.example> body=7bit", "250 2.1.0 ok"),
        ("FROM:<@r.example,@q.example:s@x.example>", "250 2.1.0 ok"), ("FROM:<\"s p\"@x.example>", "250 2.1.0 ok"), ("FROM:<noat>", "250 2.1.0 ok"),
        ("FROM:<é@x.example> SMTPUTF8", "250 2.1.0 ok"), ("FROM:<é@x.example>", "553 5.6.7 sorry, that address needs SMTPUTF8 (#5.6.7)"),
        ("FROM:<s@x.example", "555 5.5.4 syntax error (#5.5.4)"), ("FROM:junk <s@x.example>", "555 5.5.4 syntax error (#5.5.4)"),
        ("FROM:<<s@x.example>>", "555 5.5.4 syntax error (#5.5.4)"), ("FROM:<s@x.example>>", "555 5.5.4 syntax error (#5.5.4)"),
        ("FROM:", "555 5.5.4 syntax error (#5.5.4)"), ("", "555 5.5.4 syntax error (#5.5.4)"), ("s@x.example", "555 5.5.4 syntax error (#5.5.4)"),
        ("TO:<s@x.example>", "555 5.5.4 syntax error (#5.5.4)"), ("FROM:<\"s@x.example>", "555 5.5.4 syntax error (#5.5.4)"),
        ("FROM:<s@>", "555 5.5.4 syntax error (#5.5.4)"), ("FROM:<@x.example>", "555 5.5.4 syntax error (#5.5.4)"),
        ("FROM:<s@x.example>SIZE=1", "555 5.5.4 syntax error (#5.5.4)"), ("FROM:<s@x.example> BODY=BINARYMIME", "555 5.5.4 syntax error (#5.5.4)"),
        ("FROM:<s@x.example> BODY", "555 5.5.4 syntax error (#5.5.4)"), ("FROM:<s@x.example> SMTPUTF8=1", "555 5.5.4 syntax error (#5.5.4)"),
        ("FROM:<s@x.example> SIZE=1 SIZE=1", "555 5.5.4 syntax error (#5.5.4)"), ("FROM:<s@x.example> RET=FULL", "555 5.5.4 syntax error (#5.5.4)"),
        ("FROM:<s@x.example> =", "555 5.5.4 syntax error (#5.5.4)"), ("FROM:<s@x.example> SIZE=", "555 5.5.4 syntax error (#5.5.4)"),
    ])
    func strictMail(_ argument: String, _ reply: String) { run(.modern, [("MAIL " + argument, reply)]) }

    @Test(
        arguments: [
            ("TO:<r@ok.example>", "250 2.1.5 ok"), ("TO:<r@OK.Example>", "250 2.1.5 ok"), ("TO:<r@a.wild.example>", "250 2.1.5 ok"),
            ("TO:<postmaster>", "250 2.1.5 ok"),
            ("TO:<nobody@ok.example>", "550 5.1.1 sorry, no mailbox here by that name (#5.1.1)"),
            ("TO:<>", "555 5.5.4 syntax error (#5.5.4)"), ("TO:<r@ok.example> NOTIFY=NEVER", "555 5.5.4 syntax error (#5.5.4)"),
            ("TO:<\"\">", "555 5.5.4 syntax error (#5.5.4)"),
            ("TO:<é@ok.example>", "553 5.6.7 sorry, that address needs SMTPUTF8 (#5.6.7)"),
        ]
            + [
                "r@wild.example", "r@sub.ok.example", "r@ok.example.", "r@ok.example@other.example", "\"\"@other.example",
                "@ok.example:r@other.example", "r@[127.0.0.1]",
                "r@ok.example:25",
            ].map {
                ("TO:<\($0)>", "553 5.7.1 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)")
            })
    func strictRecipients(_ argument: String, _ reply: String) {
        run(.modern, [("MAIL FROM:<>", "250 2.1.0 ok"), ("RCPT " + argument, reply)])
    }

    @Test func onlyAdmittedRecipientsAreAskedAbout() {
        let dialog = Dialog(.modern)
        dialog.say("MAIL FROM:<>\r\nRCPT TO:<r@other.example>\r\nRCPT TO:<r@ok.example>\r\n")
        #expect(dialog.asked.map(\.description) == ["r@ok.example"])
        let classic = Dialog(.classic)
        classic.say("MAIL FROM:<>\r\nRCPT TO:<nobody@ok.example>\r\n")
        #expect(classic.asked.isEmpty && classic.codes == [250, 250])
    }

    @Test func badmailfromIsSaidAtRecipients() {
        let policy = Policy(greeting: Array("g".utf8), badMailFrom: ["bad@x.example", "@Evil.example"].map { Array($0.utf8) })
        let refusal = "553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)"
        for sender in ["BAD@x.example", "any@evil.example", "\"bad\"@x.example"] {
            run(.classic, [("MAIL FROM:<\(sender)>", "250 ok"), ("RCPT TO:<r@y>", refusal)], client: Client(relay: []), policy: policy)
        }
        run(.classic, [("MAIL FROM:<any@sub.evil.example>", "250 ok"), ("RCPT TO:<r@y>", "250 ok")], policy: policy)
    }

    @Test func relayClientLiftsRcpthostsAndAddsItsValue() {
        let dialog = Dialog(.modern, client: Client(relay: Array("@fixme".utf8)))
        dialog.say("MAIL FROM:<>\r\nRCPT TO:<r@other.example>\r\nDATA\r\n.\r\n")
        #expect(dialog.messages.flatMap(\.envelope.recipients).map(\.description) == ["r@other.example@fixme"])
    }

    @Test func localIPHostReplacesOwnAddresses() throws {
        let own = try #require(IPAddress(dotted: "192.0.2.1".utf8))
        let policy = Policy(greeting: [], localIPHost: Array("mx.example".utf8), ownAddresses: [own])
        let dialog = Dialog(.modern, policy: policy)
        dialog.say("MAIL FROM:<s@[192.0.2.1]>\r\nRCPT TO:<r@[192.0.2.2]>\r\nRCPT TO:<r@[192.0.2.1]>\r\nDATA\r\n.\r\n")
        let envelope = try #require(dialog.messages.first?.envelope)
        #expect(envelope.sender == Address("s@mx.example".utf8))
        #expect(envelope.recipients == ["r@[192.0.2.2]", "r@mx.example"].compactMap { Address($0.utf8) })
    }

    @Test func damagedMorercpthostsEndsTheSession() {
        let rcpthosts = Rcpthosts([], more: { $0 == Array("more.example".utf8) ? .found : .unreadable })
        let policy = Policy(greeting: Array("g".utf8), rcpthosts: rcpthosts)
        let dialog = Dialog(.classic, policy: policy)
        #expect(
            dialog.exchange("MAIL FROM:<>\r\nRCPT TO:<r@more.example>\r\nRCPT TO:<r@x>\r\n")
                == "250 ok\r\n250 ok\r\n421 unable to read controls (#4.3.0)\r\n")
        #expect(dialog.isClosed)
    }

    @Test func aMessage() {
        let client = Client(remoteIP: Array("192.0.2.7".utf8), remoteHost: Array("client.example".utf8), localHost: Array("local.example".utf8))
        let dialog = Dialog.ready(client: client)
        #expect(dialog.exchange("DATA\r\n") == "354 go ahead\r\n")
        #expect(dialog.exchange("Subject: t\r\n\r\nhello\r\n..x\r\n.\r\n") == "250 2.0.0 ok 1700000000 qp 42\r\n")
        let received = "Received: from client.example (HELO c) (192.0.2.7)\n  by local.example with SMTP; 26 Sep 1995 04:46:54 -0000\n"
        #expect(dialog.messages.map(\.content.text) == [received + "Subject: t\n\nhello\n.x\n"])
        #expect(dialog.exchange("DATA\r\n") == "503 5.5.1 MAIL first (#5.5.1)\r\n")
    }

    @Test(
        arguments: [
            ("client.example", nil, "c", "from client.example (HELO c) (192.0.2.7)"),
            ("client.example", nil, "CLIENT.example", "from client.example (192.0.2.7)"),
            ("client.example", nil, "", "from client.example (192.0.2.7)"),
            ("unknown", "joe", "[1.2.3.4]", "from unknown (HELO [1.2.3.4]) (joe@192.0.2.7)"),
            ("a_b(c)", "we ird\";", "x\u{e9}y", "from a?b?c? (HELO x??y) (we?ird??@192.0.2.7)"),
        ] as [(String, String?, String, String)])
    func receivedFields(_ host: String, _ info: String?, _ helo: String, _ field: String) {
        let client = Client(remoteIP: Array("192.0.2.7".utf8), remoteHost: Array(host.utf8), remoteInfo: info.map { Array($0.utf8) })
        let dialog = Dialog(.modern, client: client)
        dialog.say("HELO \(helo)\r\nMAIL FROM:<>\r\nRCPT TO:<r@ok.example>\r\nDATA\r\n.\r\n")
        #expect(dialog.messages.first?.content.text.split(separator: "\n").first?.dropFirst("Received: ".count) == field[...])
    }

    @Test(arguments: [
        (false, "qq timeout (#4.3.0)", "451 4.3.0 qq timeout (#4.3.0)"),
        (true, "envelope address too long for qq (#5.1.3)", "554 5.1.3 envelope address too long for qq (#5.1.3)"),
        (false, "odd\r\n250 ok", "451 4.3.0 odd??250 ok"), (true, "(#5.9999999999999999.1)", "554 5.3.0 (#5.9999999999999999.1)"),
    ])
    func theQueuesRefusals(_ isPermanent: Bool, _ text: String, _ reply: String) {
        let dialog = Dialog.ready()
        dialog.queueAnswer = .refused(isPermanent: isPermanent, text: text)
        #expect(dialog.exchange("DATA\r\nx\r\n.\r\n") == "354 go ahead\r\n\(reply)\r\n")
        #expect(dialog.exchange("NOOP\r\n") == "250 2.0.0 ok\r\n")
    }

    /// RFC 5321 §4.2.3 452, RFC 3463 X.3.1.
    @Test func aQueueWithoutRoom() {
        let dialog = Dialog.ready()
        dialog.queueAnswer = .full(text: "qq write error or disk full (#4.3.0)")
        #expect(dialog.exchange("DATA\r\nx\r\n.\r\n") == "354 go ahead\r\n452 4.3.1 qq write error or disk full (#4.3.0)\r\n")
        #expect(dialog.exchange("NOOP\r\n") == "250 2.0.0 ok\r\n")
    }

    @Test func aQueueThatIsNotThere() {
        let dialog = Dialog.ready()
        dialog.queueIsReachable = false
        #expect(dialog.exchange("DATA\r\n") == "451 4.3.0 qqt failure (#4.3.0)\r\n")
        #expect(dialog.exchange("DATA\r\n") == "503 5.5.1 MAIL first (#5.5.1)\r\n")
        let chunks = Dialog.ready()
        chunks.queueIsReachable = false
        #expect(chunks.exchange("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n") == "451 4.3.0 qqt failure (#4.3.0)\r\n250 2.0.0 ok\r\n")
    }

    @Test func aQueueThatGivesUpEarlyIsTheReplyAtTheTrueEnd() {
        let dialog = Dialog.ready()
        dialog.say("DATA\r\nx\r\n")
        dialog.answer(.refused(isPermanent: false, text: "qq write error or disk full (#4.3.0)"))
        #expect(dialog.replies() == "354 go ahead\r\n")
        #expect(dialog.exchange("RSET\r\n.\r\nNOOP\r\n") == "451 4.3.0 qq write error or disk full (#4.3.0)\r\n250 2.0.0 ok\r\n")
        #expect(dialog.messages.isEmpty)
    }

    /// The queue went away: before the commit that is a refusal; behind it neither yes nor no would be true, so nothing is said.
    @Test func aQueueThatIsLost() {
        let early = Dialog.ready()
        early.say("DATA\r\nx\r\n")
        early.answer(.lost)
        #expect(early.exchange(".\r\nNOOP\r\n") == "354 go ahead\r\n451 4.3.0 qq temporary problem (#4.3.0)\r\n250 2.0.0 ok\r\n")
        #expect(early.messages.isEmpty)
        let late = Dialog.ready()
        late.queueAnswer = .lost
        #expect(late.exchange("DATA\r\nx\r\n.\r\nNOOP\r\n") == "354 go ahead\r\n")
        #expect(late.isClosed)
    }

    @Test func laterCommandsWaitForAnswers() {
        let dialog = Dialog(.modern)
        dialog.verdict = { _ in nil }
        dialog.queueAnswer = nil
        dialog.say("MAIL FROM:<>\r\nRCPT TO:<r@ok.example>\r\nDATA\r\n")
        #expect(dialog.replies() == "250 2.1.0 ok\r\n" && dialog.phase == .waiting)
        dialog.answer(Session.RecipientVerdict.unknown)
        #expect(dialog.replies() == "250 2.1.5 ok\r\n354 go ahead\r\n")
        dialog.say("x\r\n.\r\nNOOP\r\nQUIT\r\n")
        #expect(dialog.replies() == "" && dialog.phase == .waiting)
        dialog.answer(.accepted(time: 1, qp: 2))
        #expect(dialog.replies() == "250 2.0.0 ok 1 qp 2\r\n250 2.0.0 ok\r\n221 2.0.0 mx.example\r\n")
        #expect(dialog.isClosed && dialog.phase == .closed)
        #expect(dialog.exchange("NOOP\r\n") == "")
    }

    @Test func heldInputIsBounded() {
        let dialog = Dialog.ready()
        dialog.queueAnswer = nil
        dialog.say("DATA\r\n.\r\n")
        #expect(dialog.wantsInput)
        dialog.say([UInt8](repeating: 0x41, count: Limits().heldInput))
        #expect(!dialog.wantsInput)
    }

    @Test func chunks() {
        let dialog = Dialog.ready()
        #expect(
            dialog.exchange("BDAT 9\r\nSubject: BDAT 0\r\nBDAT 4\r\nt\r\n\rBDAT 4 last\r\n\n.\r\n")
                == "250 2.0.0 ok\r\n250 2.0.0 ok\r\n250 2.0.0 ok\r\n250 2.0.0 ok 1700000000 qp 42\r\n")
        #expect(dialog.messages.map(\.body.text) == ["Subject: t\n\n.\n"])
    }

    @Test func chunksOutOfOrderAreReadAllTheSame() {
        let dialog = Dialog(.modern)
        #expect(dialog.exchange("BDAT 6\r\nNOOP\r\nBDAT 0 LAST\r\n") == "503 5.5.1 MAIL first (#5.5.1)\r\n503 5.5.1 MAIL first (#5.5.1)\r\n")
        #expect(dialog.exchange("MAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\n") == "250 2.1.0 ok\r\n503 5.5.1 RCPT first (#5.5.1)\r\n")
        #expect(dialog.exchange("RCPT TO:<r@ok.example>\r\nBDAT 1\r\nx") == "250 2.1.5 ok\r\n250 2.0.0 ok\r\n")
        for command in ["DATA", "RCPT TO:<r@ok.example>"] {
            #expect(dialog.exchange("\(command)\r\n") == "503 5.5.1 BDAT or RSET first (#5.5.1)\r\n")
        }
        #expect(dialog.exchange("RSET\r\nBDAT 1 LAST\r\nx") == "250 2.0.0 flushed\r\n503 5.5.1 MAIL first (#5.5.1)\r\n")
        #expect(dialog.begun == 1 && dialog.aborted == 1 && dialog.messages.isEmpty)
    }

    /// How much data follows cannot be known, so nothing that follows is taken for a command.
    @Test(arguments: ["", "-1", "+1", "x", "1 FIRST", "1 LAST x", "18446744073709551616", "1111111111111111111111111111111111111111"])
    func aChunkWithoutLengthEndsTheSession(_ argument: String) {
        let dialog = Dialog.ready()
        #expect(dialog.exchange("BDAT \(argument)\r\nNOOP\r\n") == "501 5.5.4 syntax error (#5.5.4)\r\n")
        #expect(dialog.isClosed)
    }

    @Test func timeoutsAndHangups() {
        let dialog = Dialog.ready()
        dialog.say("DATA\r\nx")
        dialog.timeOut()
        #expect(dialog.replies() == "354 go ahead\r\n451 4.4.2 timeout (#4.4.2)\r\n")
        #expect(dialog.isClosed && dialog.aborted == 1)
        let gone = Dialog.ready()
        gone.say("BDAT 5\r\nx")
        gone.hangUp()
        #expect(gone.aborted == 1 && gone.replies() == "")
    }

    @Test func shutdown() {
        let idle = Dialog(.modern)
        idle.shutDown()
        #expect(idle.replies() == "421 4.3.2 shutting down (#4.3.2)\r\n" && idle.isClosed)
        let busy = Dialog.ready()
        busy.shutDown()
        #expect(busy.replies() == "" && !busy.isClosed)
        #expect(
            busy.exchange("DATA\r\n.\r\nMAIL FROM:<>\r\n") == "354 go ahead\r\n250 2.0.0 ok 1700000000 qp 42\r\n421 4.3.2 shutting down (#4.3.2)\r\n")
        #expect(busy.isClosed)
        let reset = Dialog.ready()
        reset.shutDown()
        #expect(reset.exchange("RSET\r\n") == "250 2.0.0 flushed\r\n421 4.3.2 shutting down (#4.3.2)\r\n")
    }

    @Test func browsersAreSentAway() {
        let dialog = Dialog(.modern)
        #expect(dialog.exchange("POST / HTTP/1.1\r\nMAIL FROM:<>\r\n") == "421 4.7.0 sorry, i speak SMTP only (#4.7.0)\r\n")
    }
}
