import Addresses
import Bytes
import QMQP
import Reception
import Testing

private let field = "Received: from unknown (unknown)\n  by unknown with QMQP; 26 Sep 1995 04:46:54 -0000\n"
private let badAddress = netstring("Dsorry, I can't accept addresses like that (#5.1.3)")

@Suite("QMQP (qmail §15.2, §15.3)") struct QMQPTests {
    @Test(
        "Requests that are taken as they are",
        arguments: [("x\n", "s@x", ["a", "b@c", "a"]), ("", "", [""]), ("x\r\n.\r\u{0}", "s", []), ("no end", "#@[]", ["a"])])
    func requests(_ message: String, _ sender: String, _ recipients: [String]) {
        for isCut in [false, true] {
            var conversation = qmqp(Client(relay: Array("@fix".utf8), databytes: 1))
            let sent = request(message, sender, recipients)
            if isCut { conversation.sayEachByte(sent) } else { conversation.say(sent + "more") }
            #expect(conversation.messages == [.init(content: field + message, sender: sender, recipients: recipients)])
            #expect(conversation.output.text == ok)
            #expect(conversation.ending == .done)
        }
    }

    @Test("One bad address fails the request", arguments: ["a\u{0}b", "a\nb", String(repeating: "a", count: 1000)])
    func addresses(_ bad: String) {
        for sent in [request("x", bad, ["a"]), request("x", "s", ["a", bad, "b"])] {
            var conversation = qmqp()
            conversation.say(sent)
            #expect(conversation.output.text == badAddress)
            #expect(conversation.ending == .done)
            #expect(conversation.messages.isEmpty)
            #expect(conversation.aborted == 1)
        }
    }

    @Test(
        "What is no QMQP",
        arguments: [
            "5:2:x\n,,", "0:,", "12:2:x\n,1:s,1:aX,", "12:2:x\n,1:s,1:a,,", "13:2:x\n,1:s,1:a,;", "14:2:x\n,1:s,1:a,,", "x", "13:2:x\n;1:s,1:a,,",
        ])
    func protocolErrors(_ input: String) {
        for isCut in [false, true] {
            var conversation = qmqp()
            if isCut { conversation.sayEachByte(input) } else { conversation.say(input) }
            conversation.say(",")
            #expect(conversation.ending == .protocolError)
            #expect(conversation.messages.isEmpty)
            #expect(conversation.aborted == conversation.begun)
        }
    }

    @Test("Lists without end are refused before they come") func limits() {
        var limits = PackageLimits()
        limits.recipients = 2
        limits.recipientBytes = 100
        let endings = [
            "2000000001:", "2000000000:1:x,1:s,101:", "2000000000:4294967297:", request("x", "s", ["a", "b", "c"]), request("x", "s", ["a", "b"]),
        ].map {
            var conversation = qmqp(limits: limits)
            conversation.say($0)
            return conversation.ending
        }
        #expect(endings == [.trouble, .trouble, .trouble, .trouble, .done])
    }

    @Test("A client that goes away leaves nothing behind, wherever it was") func lostClients() {
        let whole = Array(request("x", "s", ["a"]).utf8)
        for count in 0..<whole.count {
            var conversation = qmqp()
            conversation.say(Array(whole[..<count]))
            conversation.hangUp()
            #expect(conversation.messages.isEmpty)
            #expect(conversation.aborted == conversation.begun)
        }
    }

    @Test("The queue's answer, early or late") func queueAnswers() {
        var late = qmqp()
        late.answer = .refused(isPermanent: false, text: "qq crashed (#4.3.0)")
        late.say(request("x", "s", ["a"]))
        #expect(late.output.text == netstring("Zqq crashed (#4.3.0)"))
        var early = qmqp()
        early.earlyAnswer = .refused(isPermanent: true, text: "no")
        early.say(request("x", "s", ["a"]))
        #expect(early.output.text == netstring("Dno"))
        #expect(early.messages.isEmpty)
    }

    @Test("A client's request is what a server takes") func client() throws {
        let envelope = Envelope(sender: .null, recipients: try ["a@b", ""].map { try #require(Address($0.utf8)) })
        let message = "Subject: x\n\n5:x,\n"
        let made = try #require(QMQPRequest(messageBytes: message.utf8.count, envelope))
        var conversation = qmqp()
        conversation.say(made.beforeMessage + message.utf8 + made.afterMessage)
        #expect(conversation.messages == [.init(content: field + message, sender: "", recipients: ["a@b", ""])])
        #expect(QMQPRequest(messageBytes: 2_000_000_000, envelope) == nil)
        #expect(QMQPRequest(messageBytes: .max, envelope) == nil)
    }

    @Test(
        "The first letter of a response counts",
        arguments: [("3:Kok,", .accepted), ("5:xxKyy,", .accepted), ("2:Zx,", .deferred), ("3:DKZ,", .refused), ("garbage", nil), ("", nil)]
            as [(String, QMQPAnswer?)])
    func answers(_ response: String, _ answer: QMQPAnswer?) { #expect(QMQPAnswer(Array(response.utf8)) == answer) }
}
