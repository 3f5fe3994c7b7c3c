import Addresses
import Bounces
import Bytes
import Testing

private func address(_ text: String) -> Address { Address(Array(text.utf8)) ?? .null }

private func failure(_ recipient: String, _ text: String) -> Failure { Failure(recipient: address(recipient), text: Array(text.utf8)) }

private let boundary = MIMEBoundary(0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210)
private let boundaryText = "0123456789abcdeffedcba9876543210"

private func bounce(
    _ failures: [Failure], to recipient: String = "snd@x.example", kind: Bounce.Kind = .single, format: Bounce.Format = .qsbmf, size: UInt64 = 100,
    maxBytes: UInt64 = 0
) -> Bounce {
    Bounce(
        from: (Array("MAILER-DAEMON".utf8), Array("mx.example".utf8)), reportingHost: Array("mx.example".utf8), date: 812_090_814,
        arrival: 812_090_000,
        recipient: address(recipient), kind: kind, format: format, failures: failures, originalSize: size, maxBytes: maxBytes)
}

@Suite struct FailureParagraphTests {
    /// spec-qmail §8.3; the first three are recorded from the reference.
    @Test(arguments: [
        ("no trailing newline", "<a@b>:\nno trailing newline\n\n"),
        ("para one\n\npara two\n\n\nend\n\n", "<a@b>:\npara one\n/para two\n//end\n\n\n"),
        ("<fake@x>:\n-not a separator\n", "<a@b>:\n<fake@x>:\n-not a separator\n\n"),
        ("\nleading", "<a@b>:\n/leading\n\n"), ("", "<a@b>:\n\n"), ("\n\n", "<a@b>:\n/\n\n"),
    ])
    func emptyLinesCannotEndIt(_ report: String, _ paragraph: String) {
        #expect(failure("a@b", report).paragraph.text == paragraph)
    }
}

@Suite struct QSBMFTests {
    @Test func singleBounceIsQmailsBytes() {
        let made = bounce([
            failure("c@mx.example", "gone\n"),
            failure("a@r.example", "192.0.2.1 does not like recipient.\nRemote host said: 550 no\nGiving up on 192.0.2.1.\n"),
        ])
        #expect(
            made.prefix().text == """
                Date: 26 Sep 1995 04:46:54 -0000
                From: MAILER-DAEMON@mx.example
                To: snd@x.example
                Subject: failure notice

                Hi. This is the qmail-send program at mx.example.
                I'm afraid I wasn't able to deliver your message to the following addresses.
                This is a permanent error; I've given up. Sorry it didn't work out.

                <c@mx.example>:
                gone

                <a@r.example>:
                192.0.2.1 does not like recipient.
                Remote host said: 550 no
                Giving up on 192.0.2.1.

                --- Below this line is a copy of the message.

                Return-Path: <snd@x.example>

                """)
        #expect(made.suffix().isEmpty)
        #expect(made.copy == .whole)
        #expect(made.sender == .null)
    }

    @Test func doubleBounceSaysSo() {
        let made = bounce([failure("a@mx.example", "no\n")], to: "postmaster@mx.example", kind: .double)
        #expect(
            made.prefix().text == """
                Date: 26 Sep 1995 04:46:54 -0000
                From: MAILER-DAEMON@mx.example
                To: postmaster@mx.example
                Subject: failure notice

                Hi. This is the qmail-send program at mx.example.
                I tried to deliver a bounce message to this address, but the bounce bounced!

                <a@mx.example>:
                no

                --- Below this line is the original bounce.

                Return-Path: <>

                """)
        #expect(made.sender == .doubleBounce)
    }

    @Test func partsThatNeedQuotesGetThem() {
        var made = bounce([failure("a@b", "no")], to: "a b@x.example")
        made.from.localPart = Array("b f".utf8)
        let text = made.prefix().text
        #expect(text.contains("\nFrom: \"b f\"@mx.example\nTo: \"a b\"@x.example\n"))
        #expect(text.hasSuffix("\nReturn-Path: <\"a b\"@x.example>\n"))
    }

    @Test(arguments: [(0, Bounce.Copy.whole), (100, .whole), (99, .header(limit: 99))] as [(UInt64, Bounce.Copy)])
    func largeOriginalsReturnTheirHeaderOnly(_ maxBytes: UInt64, _ copy: Bounce.Copy) {
        let made = bounce([failure("a@b", "no")], maxBytes: maxBytes)
        #expect(made.copy == copy)
        #expect(made.prefix().text.contains("work out.\nThe message is 100 bytes long; only its header is returned.\n\n<a@b>:\n") == (copy != .whole))
    }
}

@Suite struct DeliveryReportTests {
    private func lines(_ failures: [Failure]) -> [String] {
        bounce(failures, format: .deliveryReport(boundary)).prefix().text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// The steps of a QSBMF reader (spec-qmail §8.4), as ezmlm-return takes them.
    private func readQSBMF(_ message: String, skipFirst: Bool = false) -> (recipients: [String], next: String) {
        var paragraphs = message.split(separator: "\n\n", omittingEmptySubsequences: false).map(String.init).dropFirst()
        if skipFirst { while let first = paragraphs.first, !first.hasPrefix("--\(boundaryText)") { paragraphs.removeFirst() } }
        while let first = paragraphs.first, first.hasPrefix("--") { paragraphs.removeFirst() }
        guard let greeting = paragraphs.popFirst(), greeting.hasPrefix("Hi. This is the") else { return ([], "") }
        var recipients: [String] = []
        while let paragraph = paragraphs.popFirst() {
            if paragraph.hasPrefix("-") { return (recipients, paragraphs.first ?? "") }
            if paragraph.hasPrefix("<"), let line = paragraph.split(separator: "\n").first { recipients.append(String(line)) }
        }
        return (recipients, "")
    }

    @Test func readersOfQSBMFFindThePreamble() {
        let message = bounce([failure("a@b", "x\n\ny"), failure("c@d", "")], format: .deliveryReport(boundary)).prefix().text
        let read = readQSBMF(message)
        #expect(read.recipients == ["<a@b>:", "<c@d>:"])
        #expect(read.next == "Return-Path: <snd@x.example>")
    }

    @Test func readersOfQSBMFFindTheFirstPartToo() {
        let message = bounce([failure("a@b", "x\n\ny"), failure("c@d", "")], format: .deliveryReport(boundary)).prefix().text
        #expect(readQSBMF(message, skipFirst: true).recipients == ["<a@b>:", "<c@d>:"])
    }

    @Test func threePartsInTheOrderOfRFC6522() {
        let made = bounce([failure("a@b", "no")], format: .deliveryReport(boundary))
        let parts = (made.prefix().text + "Subject: x\n\nbody" + made.suffix().text).split(
            separator: "\n--\(boundaryText)", omittingEmptySubsequences: false
        ).map(String.init)
        #expect(parts.count == 5)
        #expect(parts[1].hasPrefix("\nContent-Type: text/plain; charset=us-ascii\n"))
        #expect(
            parts[2] == """

                Content-Type: message/delivery-status

                Reporting-MTA: dns; mx.example
                Arrival-Date: 26 Sep 1995 04:33:20 -0000

                Final-Recipient: rfc822; a@b
                Action: failed
                Status: 5.0.0

                """)
        #expect(parts[3] == "\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nReturn-Path: <snd@x.example>\nSubject: x\n\nbody")
        #expect(parts[4] == "--\n")
    }

    @Test func theCutCopyIsAHeader() {
        let text = bounce([failure("a@b", "no")], format: .deliveryReport(boundary), maxBytes: 10).prefix().text
        #expect(text.contains("\nContent-Type: text/rfc822-headers\n"))
    }

    @Test(arguments: [
        ("sorry, no mailbox here by that name. (#5.1.1)\n", "5.1.1"), ("deferred (#4.4.1)\nI'm not going to try again.\n", "4.4.1"),
        ("nothing", "5.0.0"),
        ("# 5.1.1 (#x) (#5.1) (#5.2.3)", "5.2.3"), ("(#2.0.0)", "5.0.0"), ("(#5.1234.1)", "5.0.0"),
        ("1.2.3.4 failed.\nRemote host said: 550 5.7.26 bad\nGiving up on 1.2.3.4.\n", "5.7.26"), ("Remote host said: 55", "5.0.0"),
    ])
    func statusIsInTheText(_ text: String, _ status: String) {
        #expect(lines([failure("a@b", text)]).contains("Status: \(status)"))
    }

    @Test func whatTheRemoteHostSaidIsTheDiagnostic() {
        let report = "1.2.3.4 does not like recipient.\nRemote host said: 550-one\u{7}\n550 two\nGiving up on 1.2.3.4.\n"
        #expect(lines([failure("a@b", report)]).contains("Diagnostic-Code: smtp; 550-one? 550 two"))
        #expect(!lines([failure("a@b", "no such user")]).contains { $0.hasPrefix("Diagnostic-Code") })
    }

    @Test func longDiagnosticsAreFoldedAndCut() {
        let report = "Remote host said: 550 " + String(repeating: "word ", count: 2000)
        let made = lines([failure("a@b", report)])
        let start = made.firstIndex { $0.hasPrefix("Diagnostic-Code") } ?? 0
        let folded = made[(start + 1)...].prefix { $0.hasPrefix(" ") }
        #expect(folded.count > 5)
        #expect(folded.allSatisfy { $0.utf8.count < 100 })
        #expect(folded.reduce(0) { $0 + $1.utf8.count } < 1000)
    }

    @Test(arguments: [
        ("a b@x", "rfc822; \"a b\"@x"), ("é+a@x.example", "utf-8; \\x{E9}\\x{2B}a@x.example"), ("a\u{1}@x", "rfc822; \"a?\"@x"),
    ])
    func finalRecipientStaysASCII(_ recipient: String, _ field: String) {
        #expect(lines([failure(recipient, "no")]).contains("Final-Recipient: \(field)"))
    }

    @Test func internationalAddressesNameTheGlobalType() {
        let text = bounce([failure("é@x", "nö")], format: .deliveryReport(boundary)).prefix().text
        #expect(text.contains("Content-Type: message/global\n"))
        #expect(text.contains("Content-Type: text/plain; charset=utf-8\n"))
    }

    @Test func bytesThatAreNoUTF8AreAdmitted() {
        let text = bounce([Failure(recipient: address("a@b"), text: [0xFF, 0, 0x0D, 0x41])], format: .deliveryReport(boundary)).prefix()
        #expect(text.contains(0xFF))
        #expect(!text.contains(0) && !text.contains(0x0D))
        #expect(text.text.contains("charset=unknown-8bit"))
    }

    @Test func manyLongTextsStayInBounds() {
        let long = Array(String(repeating: "x", count: 10_000).utf8)
        let made = bounce((0..<5000).map { Failure(recipient: address("user\($0)@example.org"), text: long) }, format: .deliveryReport(boundary))
            .prefix()
        #expect(made.count < 20_000_000)
        #expect(made.text.contains("<user4999@example.org>:\n"))
    }
}
