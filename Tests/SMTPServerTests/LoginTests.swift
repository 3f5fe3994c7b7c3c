import Addresses
import Bytes
import Reception
import SMTPServer
import Testing

/// AUTH: RFC 4954, hardening.md 1.5.
@Suite struct LoginTests {
    private static let offer = LoginOffer(mechanisms: ["PLAIN", "LOGIN", "SCRAM-SHA-256"], isForClear: true)

    private func dialog(_ offer: LoginOffer = Self.offer, service: Service = .submission, limits: Limits? = nil) -> Dialog {
        Dialog(.modern, limits: limits, service: service, logins: offer)
    }

    /// `\0joe\0secret`
    private let plain = "AGpvZQBzZWNyZXQ="

    @Test func plainWithInitialResponse() {
        let dialog = dialog()
        var heard: [UInt8]?
        dialog.login = { mechanism, initial in
            heard = initial
            return .success(account: Array("joe".utf8), final: [])
        }
        #expect(dialog.exchange("auth plain \(plain)\r\n") == "235 2.7.0 welcome\r\n")
        #expect(heard == Array("\0joe\0secret".utf8) && dialog.logins == ["PLAIN"])
        #expect(dialog.exchange("AUTH PLAIN \(plain)\r\n") == "503 5.5.1 you have logged in already (#5.5.1)\r\n")
    }

    @Test func initialResponses() {
        for (line, expected) in [("AUTH PLAIN", nil), ("AUTH PLAIN =", []), ("AUTH PLAIN  AA== ", [0])] as [(String, [UInt8]?)] {
            let dialog = dialog()
            var heard: [UInt8]? = [1, 2, 3]
            dialog.login = { _, initial in
                heard = initial
                return nil
            }
            dialog.say("\(line)\r\n")
            #expect(heard == expected, "\(line)")
        }
    }

    @Test func challenges() {
        let dialog = dialog()
        dialog.login = { _, _ in .challenge(Array("Username:".utf8)) }
        var heard: [String] = []
        dialog.continued = { response in
            heard.append(response.text)
            return heard.count == 1 ? .challenge(Array("Password:".utf8)) : .success(account: Array("joe".utf8), final: [])
        }
        #expect(dialog.exchange("AUTH LOGIN\r\n") == "334 VXNlcm5hbWU6\r\n")
        #expect(dialog.exchange("am9l\r\n") == "334 UGFzc3dvcmQ6\r\n")
        #expect(dialog.exchange("c2VjcmV0\r\n") == "235 2.7.0 welcome\r\n")
        #expect(heard == ["joe", "secret"])
    }

    /// The last word of SCRAM goes out as a challenge, and an empty line comes back.
    @Test func aFinalWord() {
        for (line, reply) in [("", "235 2.7.0 welcome"), ("*", "501 5.7.0 login given up (#5.7.0)"), ("eA==", "501 5.5.4 syntax error (#5.5.4)")] {
            let dialog = dialog()
            dialog.login = { _, _ in .success(account: Array("joe".utf8), final: Array("v=x".utf8)) }
            #expect(dialog.exchange("AUTH SCRAM-SHA-256 eA==\r\n") == "334 dj14\r\n")
            #expect(dialog.exchange("\(line)\r\n") == "\(reply)\r\n")
            #expect(dialog.exchange("MAIL FROM:<>\r\n").prefix(3) == (line.isEmpty ? "250" : "530"))
        }
    }

    @Test(arguments: [
        ("AUTH", "501 5.5.4 syntax error (#5.5.4)"), ("AUTH PLAIN a b", "501 5.5.4 syntax error (#5.5.4)"),
        ("AUTH DIGEST-MD5", "504 5.5.4 sorry, i have no such mechanism (#5.5.4)"),
        ("AUTH CRAM-MD5", "504 5.5.4 sorry, i have no such mechanism (#5.5.4)"),
        ("AUTH PLAIN a", "501 5.5.2 not base64 (#5.5.2)"), ("AUTH PLAIN ====", "501 5.5.2 not base64 (#5.5.2)"),
        ("AUTH PLAIN AA=A", "501 5.5.2 not base64 (#5.5.2)"), ("AUTH PLAIN AB==", "501 5.5.2 not base64 (#5.5.2)"),
        ("AUTHPLAIN", "502 5.5.1 unimplemented (#5.5.1)"),
    ]) func refusedCommands(_ line: String, _ reply: String) {
        let dialog = dialog()
        #expect(dialog.exchange("\(line)\r\nNOOP\r\n") == "\(reply)\r\n250 2.0.0 ok\r\n")
        #expect(dialog.logins.isEmpty)
    }

    @Test func giving() {
        for (line, reply) in [
            ("*", "501 5.7.0 login given up (#5.7.0)"), ("!", "501 5.5.2 not base64 (#5.5.2)"), ("\0", "501 5.5.2 not base64 (#5.5.2)"),
            (String(repeating: "A", count: 12_289), "500 5.5.6 line too long (#5.5.6)"), ("RSET", "334 "),
        ] {
            let dialog = dialog()
            dialog.login = { _, _ in .challenge([]) }
            dialog.continued = { _ in .challenge([]) }
            dialog.say("AUTH LOGIN\r\n")
            _ = dialog.replies()
            #expect(dialog.exchange("\(line)\r\n") == "\(reply)\r\n")
            #expect(dialog.cancelled == (line == "RSET" ? 0 : 1), "RSET is base64, and the login's")
        }
    }

    @Test func refusals() {
        let texts: [(Session.LoginRefusal, String, Bool)] = [
            (.credentials, "535 5.7.8 sorry, login failed (#5.7.8)", false),
            (.temporary, "454 4.7.0 sorry, i cannot check logins now (#4.7.0)", false),
            (.throttled, "421 4.7.0 sorry, too many failed logins (#4.7.0)", true),
            (.mechanism, "504 5.5.4 sorry, i have no such mechanism (#5.5.4)", false),
            (.encryptionNeeded, "538 5.7.11 sorry, no login without TLS (#5.7.11)", false),
            (.malformed, "501 5.5.2 not a message of that mechanism (#5.5.2)", false),
        ]
        for (refusal, text, closes) in texts {
            let dialog = dialog()
            dialog.login = { _, _ in .failure(refusal) }
            #expect(dialog.exchange("AUTH PLAIN \(plain)\r\n") == "\(text)\r\n")
            #expect(dialog.isClosed == closes)
            if !closes { #expect(dialog.exchange("MAIL FROM:<>\r\n") == "530 5.7.0 sorry, log in first (#5.7.0)\r\n") }
        }
    }

    @Test func failuresEndTheSession() {
        let dialog = dialog()
        dialog.login = { _, _ in .failure(.credentials) }
        for _ in 1...5 { dialog.say("AUTH PLAIN \(plain)\r\n") }
        #expect(dialog.codes == [535, 535, 535, 535, 421] && dialog.isClosed)
    }

    /// Neither advertised nor taken, and the secret is not even looked at.
    @Test func notBeforeTLS() {
        let dialog = dialog(LoginOffer(mechanisms: ["PLAIN"]))
        dialog.tlsIsReady = true
        #expect(dialog.exchange("EHLO c\r\n").contains("AUTH") == false)
        #expect(dialog.exchange("AUTH PLAIN \(plain)\r\n") == "538 5.7.11 sorry, no login without TLS (#5.7.11)\r\n")
        #expect(dialog.exchange("MAIL FROM:<>\r\n").hasPrefix("530 "))
        #expect(dialog.logins.isEmpty)
        dialog.say("STARTTLS\r\n")
        dialog.encrypt()
        _ = dialog.replies()
        #expect(dialog.exchange("EHLO c\r\n").hasSuffix("250 AUTH PLAIN\r\n"))
        #expect(dialog.exchange("AUTH PLAIN \(plain)\r\n").hasPrefix("235 "))
        #expect(dialog.exchange("EHLO c\r\n").contains("AUTH") == false, "once is enough")
    }

    /// RFC 3207 §4.2: nothing of what was said in clear is left.
    @Test func tlsForgetsALogin() {
        let dialog = dialog()
        dialog.tlsIsReady = true
        dialog.say("AUTH PLAIN \(plain)\r\n")
        dialog.say("STARTTLS\r\n")
        dialog.encrypt()
        #expect(dialog.exchange("MAIL FROM:<>\r\n").hasSuffix("530 5.7.0 sorry, log in first (#5.7.0)\r\n"))
    }

    @Test func withoutAnOfferThereIsNoAUTH() {
        for service in [Service.smtp, .lmtp] {
            let dialog = dialog(.none, service: service)
            #expect(dialog.exchange("AUTH PLAIN \(plain)\r\n") == "502 5.5.1 unimplemented (#5.5.1)\r\n")
        }
    }

    @Test func notWithinAMessage() {
        let dialog = Dialog(.modern, logins: Self.offer)
        dialog.say("MAIL FROM:<s@x.example>\r\nAUTH PLAIN \(plain)\r\nRSET\r\nAUTH PLAIN \(plain)\r\n")
        #expect(dialog.codes == [250, 503, 250, 235])
    }

    /// What is sent before auth has answered was meant for somebody else's ears.
    @Test func nothingMayFollowAUTH() {
        let dialog = dialog()
        dialog.login = { _, _ in nil }
        #expect(
            dialog.exchange("AUTH PLAIN \(plain)\r\nMAIL FROM:<>\r\n") == "421 4.7.0 sorry, nothing may follow AUTH before its answer (#4.7.0)\r\n")
        #expect(dialog.isClosed && dialog.cancelled == 1)
        let late = self.dialog()
        late.login = { _, _ in nil }
        late.say("AUTH LOGIN\r\n")
        late.say("am9l\r\n")
        #expect(late.isClosed && late.codes == [421])
        late.answer(.success(account: [], final: []))
        #expect(late.codes == [421], "too late")
    }

    @Test func theEndOfAConnectionCancels() {
        for end in [{ $0.hangUp() }, { $0.timeOut() }, { $0.shutDown() }] as [(Dialog) -> Void] {
            let dialog = dialog()
            dialog.login = { _, _ in nil }
            dialog.say("AUTH PLAIN \(plain)\r\n")
            end(dialog)
            #expect(dialog.cancelled == 1)
        }
    }

    /// hardening.md 1.1 "RESP injection", for AUTH and for what answers a challenge.
    @Test func noByteBreaksAReply() {
        for byte in UInt8.min...UInt8.max where byte != ASCII.lf {
            for (start, end) in [("AUTH ", ""), ("AUTH PLAIN ", "="), ("AUTH ", " =")] {
                let dialog = dialog()
                dialog.login = { _, _ in .failure(.credentials) }
                dialog.say(Array(start.utf8) + [byte] + Array("\(end)\r\n".utf8))
                dialog.say("NOOP\r\n")
                #expect(ReplyTests.isWellFormed(dialog.output) && dialog.codes.count == 2 && dialog.codes.last == 250, "\(start) \(byte)")
            }
            let dialog = dialog()
            dialog.login = { _, _ in .challenge([byte]) }
            dialog.continued = { _ in .challenge([byte, byte]) }
            dialog.say("AUTH LOGIN\r\n")
            dialog.say([byte, byte, byte, byte, ASCII.cr, ASCII.lf])
            #expect(ReplyTests.isWellFormed(dialog.output) && dialog.codes.count == 2, "\(byte)")
        }
    }

    @Test func lineLengths() {
        let most = String(repeating: "A", count: 12288 - "AUTH PLAIN ".count)
        for (line, code) in [("AUTH PLAIN \(most)", 501), ("AUTH PLAIN \(most)AA", 500), ("NOOP \(most)", 500)] {
            let dialog = dialog()
            dialog.say("\(line)\r\nNOOP\r\n")
            #expect(dialog.codes == [code, 250], "\(line.count)")
        }
        let dialog = dialog()
        dialog.say("AUTH PLAIN \(String(repeating: "AAAA", count: 3000))\r\n")
        #expect(dialog.codes == [235])
        let plainOnes = Dialog(.modern)
        plainOnes.say("AUTH PLAIN \(most)\r\n")
        #expect(plainOnes.codes == [500], "no longer line where there is no AUTH")
    }

    // MARK: Submission

    private func loggedIn(limits: Limits? = nil) -> Dialog {
        let dialog = dialog(limits: limits)
        dialog.say("AUTH PLAIN \(plain)\r\n")
        _ = dialog.replies()
        return dialog
    }

    @Test func aLoginLiftsRcpthosts() {
        let dialog = loggedIn()
        dialog.say("MAIL FROM:<joe@x.example>\r\nRCPT TO:<far@elsewhere.example>\r\nRCPT TO:<a@ok.example>\r\nDATA\r\nx\r\n.\r\n")
        #expect(dialog.codes == [250, 250, 250, 354, 250])
        #expect(dialog.permitted.map(\.bytes.text) == ["joe@x.example"] && dialog.sent == [2])
        #expect(dialog.messages.first?.content.text.contains(" with ESMTPA; ") == true)
    }

    @Test func senders() {
        for (permission, reply) in [
            (.foreignSender, "553 5.7.1 sorry, that sender address is not yours (#5.7.1)"),
            (.limitReached, "452 4.7.1 sorry, you have sent your share for now (#4.7.1)"),
            (.unavailable, "451 4.3.0 sorry, i cannot check your sender address now (#4.3.0)"),
        ] as [(Session.Permission, String)] {
            let dialog = loggedIn()
            dialog.permission = { _ in permission }
            #expect(dialog.exchange("MAIL FROM:<boss@x.example>\r\nRCPT TO:<a@ok.example>\r\n") == "\(reply)\r\n503 5.5.1 MAIL first (#5.5.1)\r\n")
            #expect(dialog.limitsNoted == (permission == .limitReached ? 1 : 0))
        }
    }

    /// A refused MAIL leaves the transaction before it, a permitted one takes its place.
    @Test func aSecondSender() {
        let dialog = loggedIn()
        dialog.say("MAIL FROM:<joe@x.example>\r\nRCPT TO:<a@ok.example>\r\nBDAT 1\r\nx")
        dialog.permission = { _ in .foreignSender }
        dialog.say("MAIL FROM:<boss@x.example>\r\nBDAT 1 LAST\r\ny")
        #expect(dialog.codes == [250, 250, 250, 553, 250] && dialog.messages.count == 1)
        dialog.permission = { _ in .granted(recipients: 5) }
        dialog.say("MAIL FROM:<joe@x.example>\r\nRCPT TO:<a@ok.example>\r\nBDAT 1\r\nxMAIL FROM:<joe@x.example>\r\nBDAT 1 LAST\r\ny")
        #expect(dialog.codes.suffix(5) == [250, 250, 250, 250, 503] && dialog.aborted == 1)
    }

    @Test func whileAPermissionIsAwaited() {
        let dialog = loggedIn()
        dialog.permission = { _ in nil }
        #expect(dialog.exchange("MAIL FROM:<joe@x.example>\r\nRCPT TO:<a@ok.example>\r\n") == "")
        #expect(dialog.phase == .waiting)
        dialog.answer(.granted(recipients: 1))
        #expect(dialog.codes == [250, 250])
        let gone = loggedIn()
        gone.permission = { _ in nil }
        gone.say("MAIL FROM:<joe@x.example>\r\nRCPT TO:<a@ok.example>\r\nBDAT 1\r\nx")
        gone.answer(.granted(recipients: 1))
        gone.say("MAIL FROM:<joe@x.example>\r\n")
        gone.hangUp()
        #expect(gone.aborted == 1, "the message under way is not kept")
    }

    /// What the queue says meanwhile is about the message that a refused MAIL leaves as it was.
    @Test func theQueueRefusesWhileAPermissionIsAwaited() {
        let dialog = loggedIn()
        dialog.say("MAIL FROM:<joe@x.example>\r\nRCPT TO:<a@ok.example>\r\nBDAT 1\r\nx")
        dialog.permission = { _ in nil }
        dialog.say("MAIL FROM:<boss@x.example>\r\n")
        dialog.answer(.refused(isPermanent: false, text: "qq gone (#4.3.0)"))
        dialog.answer(.foreignSender)
        dialog.say("BDAT 1 LAST\r\ny")
        #expect(dialog.codes == [250, 250, 250, 553, 451] && dialog.messages.isEmpty)
    }

    @Test func recipientsOfAnAccount() {
        let dialog = loggedIn()
        dialog.permission = { _ in .granted(recipients: 2) }
        dialog.say("MAIL FROM:<joe@x.example>\r\n" + String(repeating: "RCPT TO:<a@ok.example>\r\n", count: 4) + "DATA\r\nx\r\n.\r\n")
        #expect(dialog.codes == [250, 250, 250, 452, 452, 354, 250])
        #expect(dialog.sent == [2] && dialog.limitsNoted == 2)
    }

    @Test func loginSurvivesRSETAndEHLO() {
        let dialog = loggedIn()
        dialog.say("RSET\r\nEHLO c\r\nMAIL FROM:<joe@x.example>\r\n")
        #expect(dialog.codes.last == 250)
    }
}
