import Bytes
import SMTPServer
import Testing

/// RFC 2033: the same machine with LHLO, and an answer for each recipient that was taken.
@Suite struct LMTPTests {
    private func dialog(limits: Limits = Limits()) -> Dialog {
        let dialog = Dialog(.modern, limits: limits, service: .lmtp)
        dialog.say("LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@ok.example>\r\nRCPT TO:<nobody@ok.example>\r\nRCPT TO:<b@ok.example>\r\n")
        _ = dialog.replies()
        return dialog
    }

    @Test func greetings() {
        let dialog = Dialog(.modern, service: .lmtp, greets: true)
        #expect(dialog.replies() == "220 mx.example LMTP\r\n")
        #expect(dialog.exchange("HELO c\r\nEHLO c\r\n") == "502 5.5.1 unimplemented (#5.5.1)\r\n502 5.5.1 unimplemented (#5.5.1)\r\n")
        #expect(dialog.exchange("LHLO c\r\n").hasSuffix("\r\n250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n"))
        #expect(Dialog(.modern).exchange("LHLO c\r\n") == "502 5.5.1 unimplemented (#5.5.1)\r\n")
    }

    @Test func anAnswerForEachRecipient() {
        let dialog = dialog()
        #expect(
            dialog.exchange("DATA\r\nx\r\n.\r\nNOOP\r\n")
                == "354 go ahead\r\n250 2.0.0 ok 1700000000 qp 42\r\n250 2.0.0 ok 1700000000 qp 42\r\n250 2.0.0 ok\r\n")
        #expect(dialog.messages.first?.envelope.recipients.count == 2)
        #expect(dialog.messages.first?.content.text.contains(" with LMTP; ") == true)
    }

    @Test func aRefusalForEachRecipient() {
        #expect(dialog().exchange("DATA\r\na\nb\r\n.\r\n").split(separator: "\r\n").map { $0.prefix(3) } == ["354", "550", "550"])
        let full = dialog()
        full.queueAnswer = .full(text: "qq write error or disk full (#4.3.0)")
        #expect(full.exchange("DATA\r\nx\r\n.\r\n").split(separator: "\r\n").map { $0.prefix(3) } == ["354", "452", "452"])
    }

    /// §4.3: the last chunk is answered for each recipient, the others once.
    @Test func chunks() {
        #expect(dialog().exchange("BDAT 1\r\nxBDAT 0 LAST\r\n").split(separator: "\r\n").map { $0.prefix(3) } == ["250", "250", "250"])
        let bad = dialog()
        #expect(bad.exchange("BDAT 3\r\na\nbBDAT 0 LAST\r\nNOOP\r\n").split(separator: "\r\n").map { $0.prefix(3) } == ["550", "503", "250"])
        #expect(dialog().exchange("BDAT 3 LAST\r\na\nb").split(separator: "\r\n").map { $0.prefix(3) } == ["550", "550"])
        let away = dialog()
        away.queueIsReachable = false
        #expect(away.exchange("BDAT 3 LAST\r\nabcNOOP\r\n").split(separator: "\r\n").map { $0.prefix(3) } == ["451", "451", "250"])
        #expect(away.begun == 0)
    }

    @Test func withoutRecipientsThereIsOneAnswer() {
        let dialog = Dialog(.modern, service: .lmtp)
        dialog.say("LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@ok.example>\r\nDATA\r\nBDAT 1 LAST\r\nx")
        #expect(dialog.codes == [250, 250, 550, 503, 503])
    }
}
