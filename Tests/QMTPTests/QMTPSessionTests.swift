import Addresses
import Bytes
import QMTP
import Reception
import Testing

private let notAllowed = netstring("Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)")
private let unusable = netstring("Dsorry, I can't handle that recipient (#5.1.3)")
private let badSender = netstring("Dunacceptable sender (#5.1.7)")
private let tooBig = netstring("Dsorry, that message size exceeds my databytes limit (#5.3.4)")

@Suite("QMTP, the server (qmail §15.1)") struct QMTPSessionTests {
    @Test(
        "What is kept of a message",
        arguments: [
            ("\nSubject: x\n\nhi\n", "Subject: x\n\nhi\n"), ("\rSubject: x\r\n\r\nhi\r\n", "Subject: x\n\nhi\n"), ("\n", ""), ("\r", ""),
            ("\rlone\rcr\r\r\nend", "lone\rcr\r\nend"), ("\rends in\r", "ends in\r"), ("\nx\r\ny\n", "x\r\ny\n"), ("\n.\n..\n", ".\n..\n"),
        ])
    func content(_ message: String, _ kept: String) {
        for isCut in [false, true] {
            var conversation = qmtp()
            let sent = qmtpPackage(message, "s@x.example", ["r@ok.example"])
            if isCut { conversation.sayEachByte(sent) } else { conversation.say(sent) }
            #expect(conversation.messages == [.init(content: received + kept, sender: "s@x.example", recipients: ["r@ok.example"])])
            #expect(conversation.output.text == ok)
            #expect(conversation.ending == nil)
        }
    }

    @Test("One response for each recipient, in order") func responses() {
        var conversation = qmtp()
        let long = String(repeating: "a", count: 1000)
        let recipients = ["a@bad.example", "b@ok.example", "c\u{0}@ok.example", "noat", long, "d\n@ok.example", "e@OK.example"]
        conversation.sayEachByte(qmtpPackage("\nx", "", recipients))
        #expect(conversation.output.text == notAllowed + ok + unusable + ok + unusable + unusable + ok)
        #expect(conversation.messages.map(\.recipients) == [["b@ok.example", "noat", "e@OK.example"]])
    }

    @Test("RELAYCLIENT lifts rcpthosts and is added") func relay() {
        var conversation = qmtp(Client(relay: Array("@fix".utf8)))
        conversation.say(qmtpPackage("\nx", "s", ["a@bad.example", String(repeating: "a", count: 996)]))
        #expect(conversation.output.text == ok + unusable)
        #expect(conversation.messages.map(\.recipients) == [["a@bad.example@fix"]])
    }

    @Test("Without an acceptable recipient, or with none, nothing is queued") func nobody() {
        var conversation = qmtp()
        conversation.say(qmtpPackage("\nx", "s", ["a@bad.example"]) + qmtpPackage("\nx", "s", []) + qmtpPackage("\ny", "s", ["b@ok.example"]))
        #expect(conversation.output.text == notAllowed + ok)
        #expect(conversation.messages.map(\.recipients) == [["b@ok.example"]])
        #expect(conversation.aborted == 2)
    }

    @Test("A sender that cannot be one", arguments: ["s\u{0}t", "s\nt", String(repeating: "s", count: 1000)])
    func senders(_ sender: String) {
        var conversation = qmtp()
        conversation.say(qmtpPackage("\nx", sender, ["a@ok.example", "a@bad.example"]))
        #expect(conversation.output.text == badSender + notAllowed)
        #expect(conversation.messages.isEmpty)
        #expect(conversation.aborted == 1)
    }

    @Test(
        "databytes counts what is kept; DATABYTES goes before it",
        arguments: [
            ("\n123456789\n", 10, nil, true), ("\n1234567890\n", 10, nil, false), ("\r12345678\r\n", 1, 9, true), ("\r123456789\r\n", 1, 9, false),
            ("\r12345678\r", 0, 8, false), ("\n1234", 1, 0, true),
        ] as [(String, UInt64, UInt64?, Bool)])
    func size(_ message: String, _ databytes: UInt64, _ own: UInt64?, _ fits: Bool) {
        for isCut in [false, true] {
            var conversation = qmtp(Client(databytes: own), databytes: databytes)
            let sent = qmtpPackage(message, "s", ["a@ok.example"])
            if isCut { conversation.sayEachByte(sent) } else { conversation.say(sent) }
            #expect(conversation.output.text == (fits ? ok : tooBig))
            #expect(conversation.aborted == (fits ? 0 : 1))
        }
    }

    @Test(
        "What is no QMTP ends the connection, and nothing is queued",
        arguments: [
            ":,", "-1:x,", "0:,", "2:xx,", "3:\nx\n,1:s,0:;", "3:\nx\n;1:s,16:12:a@ok.example,,",
            "3:\nx\n,1:s,15:12:a@ok.example,", "3:\nx\n,1:s,15:99:a@ok.example,,", "3:\nx\n,1:s,1:1,", "3:\nx\n,1:s,2:x:,",
        ])
    func protocolErrors(_ input: String) {
        for isCut in [false, true] {
            var conversation = qmtp()
            if isCut { conversation.sayEachByte(input) } else { conversation.say(input) }
            conversation.say(qmtpPackage("\nx", "s", ["a@ok.example"]))
            #expect(conversation.ending == .protocolError)
            #expect(conversation.messages.isEmpty)
            #expect(conversation.aborted == conversation.begun)
            #expect(conversation.output.isEmpty)
        }
    }

    @Test("Lengths and lists without end are refused before they come") func limits() {
        var limits = PackageLimits()
        limits.recipients = 2
        limits.recipientBytes = 100
        var endings: [PackageEnding?] = []
        for input in [
            "99999999999:", "3:\nx\n,4294967297:", "3:\nx\n,1:s,101:", qmtpPackage("\nx", "s", ["a", "b", "c"]), qmtpPackage("\nx", "s", ["a", "b"]),
        ] {
            var conversation = qmtp(limits: limits)
            conversation.say(input)
            endings.append(conversation.ending)
        }
        #expect(endings == [.trouble, .trouble, .trouble, .trouble, nil])
    }

    @Test("A client that goes away leaves nothing behind, wherever it was") func lostClients() {
        let whole = Array(qmtpPackage("\nx", "s", ["a@ok.example"]).utf8)
        for count in 0..<whole.count {
            var conversation = qmtp()
            conversation.say(Array(whole[..<count]))
            conversation.hangUp()
            #expect(conversation.messages.isEmpty)
            #expect(conversation.aborted == conversation.begun)
            #expect(conversation.ending == nil)
        }
    }

    @Test("Packages behind one that waits for the queue wait too") func pipelining() {
        var conversation = qmtp()
        conversation.answer = nil
        conversation.say(qmtpPackage("\nx", "s", ["a@ok.example"]) + qmtpPackage("\ny", "s", ["b@ok.example"]))
        conversation.say("3:\nz")
        #expect(conversation.messages.count == 1)
        conversation.answerNow(.refused(isPermanent: false, text: "qq timeout (#4.3.0)"))
        #expect(conversation.messages.count == 2)
        conversation.answerNow(.accepted(time: 1_700_000_000, qp: 42))
        conversation.say("\n,1:s,16:12:c@ok.example,,")
        #expect(conversation.output.text == netstring("Zqq timeout (#4.3.0)") + ok)
        #expect(conversation.messages.last?.content == received + "z\n")
    }

    @Test("A queue that refuses early is told of at the end, and the next message is another") func earlyRefusal() {
        var conversation = qmtp()
        conversation.earlyAnswer = .refused(isPermanent: true, text: "no (#5.3.0)")
        conversation.say(qmtpPackage("\nx", "s", ["a@ok.example", "b@bad.example"]))
        conversation.earlyAnswer = nil
        conversation.say(qmtpPackage("\ny", "s", ["a@ok.example"]))
        #expect(conversation.output.text == netstring("Dno (#5.3.0)") + notAllowed + ok)
        #expect(conversation.messages.count == 1)
        #expect(conversation.aborted == 0)
    }

    @Test("rcpthosts that cannot be read end the connection") func unreadable() {
        var conversation = qmtp(rcpthosts: Rcpthosts([], more: { _ in .unreadable }))
        conversation.say(qmtpPackage("\nx", "s", ["a@ok.example", "b@ok.example"]))
        #expect(conversation.ending == .trouble)
        #expect(conversation.aborted == 1)
    }

    @Test("Who the client is stands in the Received field, tamed") func receivedField() {
        var conversation = qmtp(
            Client(remoteIP: Array("192.0.2.7".utf8), remoteHost: Array("a b\n".utf8), remoteInfo: Array("id".utf8), localHost: Array("l".utf8)))
        conversation.say(qmtpPackage("\n", "s", ["a@ok.example"]))
        let field = "Received: from a?b? (id@192.0.2.7)\n  by l with QMTP; 26 Sep 1995 04:46:54 -0000\n"
        #expect(conversation.messages.first?.content == field)
    }
}
