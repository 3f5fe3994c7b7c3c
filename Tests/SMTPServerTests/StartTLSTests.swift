import Bytes
import Reception
import SMTPServer
import Testing

/// RFC 3207, and hardening.md 1.1 "PIPE/TLS injection" in the machine.
@Suite struct StartTLSTests {
    private func dialog(_ profile: Profile = .modern) -> Dialog {
        let dialog = Dialog(profile)
        dialog.tlsIsReady = true
        return dialog
    }

    @Test(arguments: [Profile.modern, .classic]) func offered(_ profile: Profile) {
        let dialog = dialog(profile)
        #expect(dialog.exchange("EHLO c\r\n").contains("STARTTLS\r\n"))
        #expect(dialog.exchange("StartTLS\r\n").hasPrefix("220 "))
        #expect(dialog.handshakes == 1 && dialog.phase == .waiting)
        dialog.encrypt()
        #expect(dialog.phase == .command)
        #expect(!dialog.exchange("EHLO c\r\n").contains("STARTTLS"))
        #expect(dialog.exchange("STARTTLS\r\n").hasPrefix("503 "))
    }

    @Test func notOffered() {
        let dialog = Dialog(.modern)
        #expect(!dialog.exchange("EHLO c\r\n").contains("STARTTLS"))
        #expect(dialog.exchange("STARTTLS\r\n").hasPrefix("502 "))
    }

    @Test func offeredAndLost() {
        let dialog = dialog()
        dialog.say("EHLO c\r\n")
        dialog.tlsIsReady = false
        _ = dialog.replies()
        #expect(dialog.exchange("STARTTLS\r\n").hasPrefix("454 4.7.0 "))
        #expect(dialog.exchange("NOOP\r\n").hasPrefix("250 "))
    }

    @Test func takesNoParameter() {
        let dialog = dialog()
        #expect(dialog.exchange("STARTTLS now\r\n").hasPrefix("501 5.5.4 "))
        #expect(dialog.handshakes == 0)
    }

    /// One segment, with any command, and half of one.
    @Test(arguments: ["NOOP\r\n", "EHLO evil\r\n", "M", "\n", "QUIT\r\nNOOP\r\n", "\u{16}\u{03}\u{01}"]) func injected(_ behind: String) {
        let dialog = dialog()
        dialog.say("EHLO c\r\n")
        _ = dialog.replies()
        #expect(dialog.exchange("STARTTLS\r\n" + behind).hasPrefix("554 5.5.0 "))
        #expect(dialog.isClosed && dialog.handshakes == 0)
    }

    /// Waits behind a question to route, then comes with what was held.
    @Test func injectedWhileWaiting() {
        let dialog = dialog()
        dialog.verdict = { _ in nil }
        dialog.say("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<x@ok.example>\r\n")
        dialog.say("STARTTLS\r\n")
        dialog.say("NOOP\r\n")
        _ = dialog.replies()
        dialog.answer(Session.RecipientVerdict.exists)
        #expect(dialog.replies() == "250 2.1.5 ok\r\n554 5.5.0 sorry, nothing may follow STARTTLS before tls (#5.5.0)\r\n")
        #expect(dialog.isClosed && dialog.handshakes == 0)
    }

    /// The caller gives nothing while the handshake lasts; if it did, it would not count.
    @Test func plaintextInHandshake() {
        let dialog = dialog()
        dialog.say("STARTTLS\r\n")
        _ = dialog.replies()
        #expect(dialog.exchange("MAIL FROM:<a@b>\r\n") == "" && dialog.isClosed)
    }

    @Test(arguments: ["", "RCPT TO:<x@ok.example>\r\n", "RCPT TO:<x@ok.example>\r\nBDAT 2\r\nab"]) func forgetsEverything(_ before: String) {
        let dialog = dialog()
        dialog.say("EHLO before\r\nMAIL FROM:<a@b>\r\n" + before)
        dialog.say("STARTTLS\r\n")
        dialog.encrypt()
        _ = dialog.replies()
        #expect(dialog.aborted == dialog.begun && !dialog.isInTransaction)
        #expect(dialog.exchange("RCPT TO:<x@ok.example>\r\n").hasPrefix("503 "))
        #expect(dialog.exchange("DATA\r\n").hasPrefix("503 "))
        #expect(dialog.exchange("BDAT 0 LAST\r\n").hasPrefix("503 "))
        dialog.say("MAIL FROM:<a@b>\r\nRCPT TO:<x@ok.example>\r\nDATA\r\n")
        dialog.say("x\r\n.\r\n")
        let text = dialog.messages.last?.content.text ?? "before"
        #expect(!text.contains("before"))
    }

    @Test func received() {
        let dialog = dialog()
        dialog.say("STARTTLS\r\n")
        dialog.encrypt()
        dialog.say("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<x@ok.example>\r\nDATA\r\n")
        dialog.say("x\r\n.\r\n")
        #expect(dialog.messages.first?.content.text.contains("\n  by unknown with ESMTPS (TLSv1.3 TLS_AES_128_GCM_SHA256); ") == true)
    }

    @Test func first() {
        let dialog = Dialog(.modern, greets: true, tlsFirst: true)
        dialog.tlsIsReady = true
        #expect(dialog.replies() == "" && dialog.handshakes == 1)
        dialog.encrypt()
        #expect(dialog.replies().hasPrefix("220 mx.example ESMTP"))
        #expect(dialog.exchange("STARTTLS\r\n").hasPrefix("503 "))
    }

    /// Nothing is said in clear when time runs out or the process ends in a handshake.
    @Test func endsInHandshake() {
        for end in [Dialog.timeOut, Dialog.shutDown] {
            let dialog = dialog()
            dialog.say("STARTTLS\r\n")
            _ = dialog.replies()
            end(dialog)()
            #expect(dialog.replies() == "" && dialog.isClosed)
        }
    }
}
