import Bytes
import Reception
import SMTPServer
import Testing

/// hardening.md 1.1 "LEN" and "INT": each limit one below, at it, one above, and without end.
@Suite struct LimitsTests {
    private func repeated(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }

    @Test(arguments: [-1, 0, 1, 2, 1000]) func commandLines(_ excess: Int) {
        let length = Limits().commandLine + excess
        let dialog = Dialog(.modern)
        let line = "NOOP " + repeated("x", length - 5) + "\r\n"
        #expect(dialog.exchange(line + "NOOP\r\n") == (excess > 0 ? "500 5.5.2 line too long (#5.5.2)\r\n" : "250 2.0.0 ok\r\n") + "250 2.0.0 ok\r\n")
        for byte in line.utf8 { dialog.say([byte]) }
        #expect(dialog.replies() == (excess > 0 ? "500 5.5.2 line too long (#5.5.2)\r\n" : "250 2.0.0 ok\r\n"))
    }

    @Test func aLineWithoutEnd() {
        let dialog = Dialog(.modern)
        var said = 0
        while !dialog.isClosed, said < 1 << 20 {
            dialog.say([UInt8](repeating: 0x41, count: 1000))
            said += 1000
        }
        #expect(dialog.replies() == "421 4.7.0 sorry, too many commands without mail (#4.7.0)\r\n")
        #expect(said <= Limits().commandLine + Limits().skippedLine + 2000)
    }

    @Test(arguments: [-1, 0, 1]) func addresses(_ excess: Int) {
        let length = Limits().address + excess
        for profile in [Profile.modern, .classic] {
            let dialog = Dialog(profile)
            dialog.say("MAIL FROM:<\(repeated("s", length - "@x.example".utf8.count))@x.example>\r\n")
            #expect(dialog.codes == [excess > 0 ? 555 : 250])
            dialog.say("MAIL FROM:<>\r\nRCPT TO:<\(repeated("r", length - "@ok.example".utf8.count))@ok.example>\r\n")
            #expect(dialog.codes.last == (excess > 0 ? 555 : 250))
        }
        let domain = Dialog(.modern)
        domain.say("MAIL FROM:<s@\(repeated("d", Limits().domain + excess))>\r\n")
        #expect(domain.codes == [excess > 0 ? 555 : 250])
        #expect(Dialog(.modern).exchange("HELO \(repeated("h", Limits().heloName + excess))\r\n").hasPrefix(excess > 0 ? "501 5.5.4" : "250"))
    }

    @Test func recipients() {
        let dialog = Dialog(.modern)
        dialog.say("MAIL FROM:<>\r\n" + repeated("RCPT TO:<r@ok.example>\r\n", 1001))
        #expect(dialog.replies().hasSuffix("250 2.1.5 ok\r\n452 4.5.3 sorry, that is too many recipients (#4.5.3)\r\n"))
        dialog.say("DATA\r\n.\r\n")
        #expect(dialog.messages.first?.envelope.recipients.count == 1000)
    }

    /// qmail-smtpd itself takes any number; memory has an end.
    @Test func theClassicProfileBoundsMemoryToo() {
        let dialog = Dialog(.classic)
        dialog.say("MAIL FROM:<>\r\n" + String(repeating: "RCPT TO:<r@ok.example>\r\n", count: 100_000))
        _ = dialog.replies()
        #expect(dialog.exchange("RCPT TO:<r@ok.example>\r\n") == "452 sorry, that is too many recipients (#4.5.3)\r\n")
        #expect(dialog.exchange("DATA\r\n") == "354 go ahead\r\n")
    }

    @Test(arguments: [-1, 0, 1]) func hops(_ excess: Int) {
        for line in ["Received: x", "delivered-TO: x", "Received-SPF: x"] {
            let dialog = Dialog.ready()
            dialog.say("DATA\r\n\(repeated("\(line)\r\n", Limits().hops + excess)) Received: folded\r\n\r\nReceived: body\r\n.\r\n")
            #expect(dialog.replies().hasSuffix(excess > 0 ? "554 5.4.6 too many hops, this message is looping (#5.4.6)\r\n" : "qp 42\r\n"))
            #expect(dialog.messages.count == (excess > 0 ? 0 : 1))
        }
    }

    @Test(arguments: [-1, 0, 1]) func headers(_ excess: Int) {
        let refusal = "552 5.3.4 sorry, that message header exceeds my limits (#5.3.4)\r\n"
        let fields = Dialog.ready()
        fields.say("DATA\r\n\(repeated("a: b\r\n", Limits().headerFields + excess))\r\nc: d\r\n.\r\n")
        #expect(fields.replies().hasSuffix(excess > 0 ? refusal : "qp 42\r\n"))
        let bytes = Dialog.ready()
        bytes.say("DATA\r\na: \(repeated("x", Limits().headerBytes + excess - 5))\r\n\r\nbody\r\n.\r\n")
        #expect(bytes.replies().hasSuffix(excess > 0 ? refusal : "qp 42\r\n"))
    }

    /// spec-qmail §13.4: bytes after decoding, Received not counted; exactly databytes is allowed.
    @Test(arguments: [-1, 0, 1]) func databytes(_ excess: Int) {
        let policy = Policy(greeting: Array("g".utf8), databytes: 100)
        let body = repeated("x", 100 + excess - 3)
        let refusal = "552 5.3.4 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"
        let data = Dialog.ready(policy: policy)
        data.say("DATA\r\n..\(body)x\r\n.\r\n")
        #expect(data.replies().hasSuffix(excess > 0 ? refusal : "qp 42\r\n"))
        let chunk = Dialog.ready(policy: policy)
        chunk.say("BDAT \(body.utf8.count + 4) LAST\r\n..\(body)\r\n")
        #expect(chunk.replies().hasSuffix(excess > 0 ? refusal : "qp 42\r\n"))
        let declared = Dialog(.modern, policy: policy)
        #expect(declared.exchange("MAIL FROM:<> SIZE=\(100 + excess)\r\n") == (excess > 0 ? refusal : "250 2.1.0 ok\r\n"))
        #expect(declared.exchange("EHLO c\r\n").contains("250-SIZE 100\r\n"))
        // DATABYTES of the connection overrides the file.
        let relieved = Dialog(.modern, policy: policy, client: Client(databytes: 0))
        #expect(relieved.exchange("MAIL FROM:<> SIZE=101\r\n") == "250 2.1.0 ok\r\n")
    }

    /// hardening.md §0: numbers that break parsers.
    @Test(arguments: [
        ("", 555), ("-1", 555), ("+1", 555), ("00", 250), ("2147483648", 250), ("4294967296", 250), ("9223372036854775807", 250),
        ("9223372036854775808", 552),
        ("18446744073709551616", 552), ("1111111111111111111111111111111111111111", 555), ("1x", 555),
    ])
    func sizes(_ number: String, _ code: Int) {
        let dialog = Dialog(.modern)
        dialog.say("MAIL FROM:<> SIZE=\(number)\r\n")
        #expect(dialog.codes == [code])
    }

    @Test func errors() {
        let dialog = Dialog(.modern)
        dialog.say(repeated("FOO\r\n", 20) + "NOOP\r\n")
        #expect(!dialog.isClosed && dialog.codes.count == 21)
        #expect(dialog.exchange("FOO\r\nNOOP\r\n").hasSuffix("250 2.0.0 ok\r\n421 4.7.0 sorry, too many errors (#4.7.0)\r\n"))
        #expect(dialog.isClosed)
        let classic = Dialog(.classic)
        classic.say(repeated("FOO\r\n", 1000))
        #expect(!classic.isClosed)
    }

    @Test func junkCommands() {
        let dialog = Dialog(.modern)
        dialog.say(repeated("NOOP\r\n", 100))
        #expect(!dialog.isClosed)
        dialog.say("MAIL FROM:<>\r\nRCPT TO:<r@ok.example>\r\nDATA\r\n.\r\n" + repeated("VRFY x\r\n", 100))
        #expect(!dialog.isClosed)
        dialog.say("RSET\r\n")
        #expect(dialog.replies().hasSuffix("421 4.7.0 sorry, too many commands without mail (#4.7.0)\r\n") && dialog.isClosed)
    }

    @Test func tinyChunks() {
        let dialog = Dialog.ready()
        dialog.say(repeated("BDAT 1\r\nx", 200))
        #expect(dialog.isClosed && dialog.codes.last == 421 && dialog.aborted == 1)
    }

    @Test func readingOverAFailedMessageHasAnEnd() {
        var limits = Limits()
        limits.discarded = 10_000
        for (start, length) in [("DATA\r\nbare\n", Int.max), ("BDAT 9000000000000000000 LAST\r\nbare\n", .max), ("BDAT 9005\r\nbare\n", 9000)] {
            let dialog = Dialog.ready(limits: limits)
            dialog.say(start)
            var said = 0
            while !dialog.isClosed, said < min(length, 100_000) {
                dialog.say([UInt8](repeating: 0x41, count: 1000))
                said += 1000
            }
            #expect(dialog.replies().contains("550 5.5.2 sorry, that message has a bare CR or LF (#5.5.2)\r\n"))
            #expect(said <= 12_000 && dialog.aborted == 1)
        }
        let unwanted = Dialog(.modern, limits: limits)
        #expect(unwanted.exchange("BDAT 10001\r\n") == "503 5.5.1 MAIL first (#5.5.1)\r\n" && unwanted.isClosed)
    }
}
