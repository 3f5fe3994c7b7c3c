import Addresses
import SMTPClient
import Testing

/// spec-qmail §14.1, §14.2: one transaction as qmail-remote has it.
@Suite struct ClassicProfileTests {
    /// What the client sends, and its reports as qmail-remote prints them, `|` for NUL and `/` for LF.
    private func run(_ replies: [String], content: String = "x\n", recipients: [String] = ["r@b"]) -> (sent: String, reports: String) {
        var session = ClientSession(.classic, peer: "1.2.3.4", heloHost: Array("us".utf8), limits: .classic)
        let addresses = recipients.compactMap { Address($0.utf8) }
        var actions = session.begin(
            MailTransaction(sender: Address("s@a".utf8) ?? .null, recipients: addresses, content: ContentSummary(content.utf8)))
        var (sent, reports, left) = ("", "", replies[...])
        while true {
            while !actions.isEmpty {
                switch actions.removeFirst() {
                case .send(let bytes): sent += String(decoding: bytes, as: UTF8.self).replacing("\r\n", with: "\n")
                case .readContent: actions = session.contentRead(Array(content.utf8)[...], isLast: true) + actions
                case .finish(let report): reports += printed(report)
                case .close: return (sent, reports)
                case .restartDeadline, .idle, .giveBack, .passOn, .startTLS: break
                }
            }
            actions = left.popFirst().map { session.received(Array($0.utf8)) } ?? session.connectionClosed()
        }
    }

    private func printed(_ report: TransactionReport) -> String {
        let text = { (report: RecipientReport) in String(decoding: report.text, as: UTF8.self).replacing("\n", with: "/") }
        let recipients = report.recipients.compactMap { answer -> String? in
            switch answer {
            case .none: nil
            case .accepted: "r|"
            case .refused(let report), .excluded(let report): (report.class == .failed ? "h" : "s") + text(report) + "|"
            }
        }
        return recipients.joined() + ["K", "Z", "D"][report.message.class.rawValue] + text(report.message) + "|"
    }

    @Test func heloOnlyThenQuit() {
        let (sent, reports) = run(["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n", "250 q\r\n"])
        #expect(sent == "HELO us\nMAIL FROM:<s@a>\nRCPT TO:<r@b>\nDATA\nx\n.\nQUIT\n")
        #expect(reports == "r|K1.2.3.4 accepted message./Remote host said: 250 q/|")
    }

    @Test(arguments: [
        // Any code below 400 is a yes, where it has no place too.
        (["199 a\r\n", "250 q\r\n"], "r|K1.2.3.4 accepted message./Remote host said: 250 q/|"),
        (["354 a\r\n", "399 q\r\n"], "r|K1.2.3.4 accepted message./Remote host said: 399 q/|"),
        // 421 is a refusal of the recipient, not of the connection.
        (["421 a\r\n"], "s1.2.3.4 does not like recipient./Remote host said: 421 a/|DGiving up on 1.2.3.4./|"),
        (["550 a\r\n"], "h1.2.3.4 does not like recipient./Remote host said: 550 a/|DGiving up on 1.2.3.4./|"),
        (["250 a\r\n", "451 b\r\n"], "r|Z1.2.3.4 failed after I sent the message./Remote host said: 451 b/|"),
        ([], "ZConnected to 1.2.3.4 but connection died. (#4.4.2)/|"),
        (["250 a\r\n"], "r|ZConnected to 1.2.3.4 but connection died. Possible duplicate! (#4.4.2)/|"),
    ])
    func answersToTheRecipientAndTheMessage(_ replies: [String], _ expected: String) {
        // DATA is answered only where a recipient was taken.
        let accepted = replies.first.map { $0 < "4" } ?? false
        let all = ["220 x\r\n", "250 x\r\n", "250 x\r\n"] + replies.prefix(1) + (accepted ? ["354 x\r\n"] : []) + replies.dropFirst()
        #expect(run(all).reports == expected)
    }

    @Test func severalRecipientsEachWithItsReport() {
        let (_, reports) = run(
            ["220 x\r\n", "250 x\r\n", "250 x\r\n", "550 a\r\n", "250 b\r\n", "421 c\r\n", "354 x\r\n", "250 q\r\n"],
            recipients: ["a@b", "b@b", "c@b"])
        #expect(
            reports == "h1.2.3.4 does not like recipient./Remote host said: 550 a/|r|s1.2.3.4 does not like recipient./Remote host said: 421 c/|"
                + "K1.2.3.4 accepted message./Remote host said: 250 q/|")
    }

    @Test(arguments: ["no end", "a\n."]) func aPartialLastLineFailsAndNothingOfItIsSent(_ content: String) {
        let (sent, reports) = run(["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n"], content: content)
        #expect(sent.hasSuffix("DATA\n") && reports == "r|DSMTP cannot transfer messages with partial final lines. (#5.6.2)/|")
    }

    /// What qmail-rspawn makes of the reports of one recipient (spec-qmail §14.1).
    @Test(arguments: [
        (["550 A\r\n"], "failed h/Giving up"), (["450 A\r\n"], "deferred h/Giving up"), (["250 a\r\n", "550 B\r\n"], "failed m"),
        (["250 a\r\n", "450 B\r\n"], "deferred m"), (["250 a\r\n", "250 B\r\n"], "delivered m"),
    ])
    func combined(_ replies: [String], _ expected: String) {
        var session = ClientSession(.classic, peer: "1.2.3.4", heloHost: Array("us".utf8))
        _ = session.begin(
            MailTransaction(sender: .null, recipients: [Address("r@b".utf8)].compactMap(\.self), content: ContentSummary("x\n".utf8)))
        var all = ["220 x\r\n", "250 x\r\n", "250 x\r\n"] + replies
        if replies.count > 1 { all.insert("354 x\r\n", at: 4) }
        var found = ""
        for reply in all {
            for action in session.received(reply.utf8) {
                if case .readContent = action { _ = session.contentRead(Array("x\n".utf8)[...], isLast: true) }
                guard case .finish(let report) = action, let one = report.combined.first else { continue }
                let text = String(decoding: one.text, as: UTF8.self)
                found = "\(one.class) " + (text.contains("does not like") ? "h/" : "m") + (text.contains("Giving up") ? "Giving up" : "")
            }
        }
        #expect(found == expected)
    }
}
