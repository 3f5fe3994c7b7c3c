import Addresses
import Bytes
import MessageHeader
import Testing

private let rewriting = AddressRewriting(
    defaultHost: Array("dh".utf8), defaultDomain: Array("dd.example".utf8), plusDomain: Array("plus.example".utf8))

private func settings(_ change: (inout SubmissionSettings) -> Void = { _ in }) -> SubmissionSettings {
    var settings = SubmissionSettings(
        rewriting: rewriting, idHost: Array("id.example".utf8), user: Array("joe".utf8), now: 812_090_814, processID: 345)
    change(&settings)
    return settings
}

/// Header and body of a message as qmail-inject would queue it, with its envelope.
private func complete(_ message: String, _ settings: SubmissionSettings = settings()) throws -> (header: String, sender: String, recipients: [String])
{
    var splitter = HeaderSplitter()
    for line in message.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
        guard splitter.take(Array("\(line)\n".utf8)[...]) == .header else { break }
    }
    splitter.finish()
    let header = try CompletedHeader(splitter.fields, settings)
    return (header.bytes.text, header.sender.text, header.recipients.map(\.text))
}

private let newFields = """
    Date: 26 Sep 1995 04:46:54 -0000
    Message-ID: <19950926044654.345.qmail@id.example>
    From: joe@dh.dd.example

    """

@Suite struct AddressListTests {
    /// spec-qmail §11.4; each was checked against the reference.
    @Test(
        arguments: [
            ("fred@host.example.", "fred@host.example", ["fred@host.example"]),
            ("<fred>", "<fred@dh.dd.example>", ["fred@dh.dd.example"]),
            ("\"Fred, Flint\" <fred@x.example>", "\"Fred, Flint\" <fred@x.example>", ["fred@x.example"]),
            ("(a (nested (deep)) comment) fred@x.example", "fred@x.example (a nested deep comment)", ["fred@x.example"]),
            ("fred @ x . example", "fred@x.example", ["fred@x.example"]),
            ("\"fred\\\"flint\"@x.example", "\"fred\\\"flint\"@x.example", ["fred\"flint@x.example"]),
            ("fred\\ flint@x.example", "fred flint@x.example", ["fred flint@x.example"]),
            ("\"\"@x.example", "\"\"@x.example", ["@x.example"]),
            ("fred@[ 10.1.2.3 ]", "fred@[ 10.1.2.3 ]", ["fred@[ 10.1.2.3 ]"]),
            ("<@r1.example,@r2.example:fred@x.example>", "<fred@x.example>", ["fred@x.example"]),
            ("<@relay.example>", "<>", [""]), ("<>", "<>", [""]),
            ("a@x.example b@y.example", "a@x.example, b@y.example", ["b@y.example", "a@x.example"]),
            (
                "djb fred, wilma", "djb@dh.dd.example, fred@dh.dd.example, wilma@dh.dd.example",
                ["wilma@dh.dd.example", "fred@dh.dd.example", "djb@dh.dd.example"]
            ),
            (",", ",", []), ("friends: ;, c@z.example", "friends: ;, c@z.example", ["c@z.example"]),
            (
                "a, g1: b, c;, d@e", "a@dh.dd.example, g1: b@dh.dd.example, c@dh.dd.example;, d@e.dd.example",
                ["d@e.dd.example", "c@dh.dd.example", "b@dh.dd.example", "a@dh.dd.example"]
            ),
            ("fred]@x.example", "\"fred\\]\"@x.example", ["fred]@x.example"]),
            ("list-@x.example-@[]", "list-@x.example-@[]", ["list-@x.example-@[]"]),
            ("a@b+", "a@b.plus.example", ["a@b.plus.example"]), ("a+", "a+@dh.dd.example", ["a+@dh.dd.example"]),
            ("a@b@c.example", "a@b@c.example", ["a@b@c.example"]), ("[literal]", "[literal]@dh.dd.example", ["[literal]@dh.dd.example"]),
            ("Mr. Fred <a@x.example>", "Mr.Fred <a@x.example>", ["a@x.example"]), ("A B <a b@x.example>", "A B <a b@x.example>", ["ab@x.example"]),
            ("fred@x.example>", "fred@x.example>", ["fred@x.example"]),
            ("<<a@x.example>>", "<@dh.dd.example <a@x.example>>", ["a@x.example>", "<@dh.dd.example"]),
            ("g (cmt): a (x), b;", "g (cmt): a@dh.dd.example (x), b@dh.dd.example;", ["b@dh.dd.example", "a@dh.dd.example"]),
        ] as [(String, String, [String])])
    func rewritingAndRecipients(_ field: String, _ printed: String, _ recipients: [String]) throws {
        let done = try complete("To: \(field)\n\n")
        #expect(done.header == newFields + "To: \(printed)\n")
        #expect(done.recipients == recipients)
    }

    /// What cannot be read stays as it is; what stands right of the error still counts.
    @Test(
        arguments: [
            ("(fred@x.example", []), ("a@x.example;", ["a@x.example"]), ("g:", []), ("a, \"b", []), (")", []), ("]", []), ("g: h: a;;", []),
        ] as [(String, [String])])
    func unreadableRecipients(_ field: String, _ recipients: [String]) throws {
        let done = try complete("To: \(field)\n\n")
        #expect(done.header == newFields + "To: \(field)\n")
        #expect(done.recipients == recipients)
    }

    /// Fields are read one after the other in the same memory.
    @Test func fieldsLeaveNothingToTheNext() throws {
        let done = try complete("To: g: a@x.example\nCc: b c\nTo: \"d\nCc: e+, f\\@g@h.example\nTo: \n\n")
        #expect(done.recipients == ["a@x.example", "c@dh.dd.example", "b@dh.dd.example", "f@g@h.example", "e+@dh.dd.example"])
        #expect(
            done.header == newFields + "To: g: a@x.example\nCc: b@dh.dd.example, c@dh.dd.example\nTo: \"d\n"
                + "Cc: e+@dh.dd.example, f@g@h.example\nTo:\n")
    }

    @Test func unreadableOriginatorsAreRefused() {
        #expect(throws: SubmissionError.field(Array("Reply-To: \"unclosed\n".utf8))) { try complete("Reply-To: \"unclosed\nTo: a\n\n") }
    }

    @Test func linesAreFoldedAfterCommas() throws {
        let address = "abcdefghi@x.example"
        let done = try complete("To: \(address),\(address),\(address),abcdefgh@y.ex.ample\n\n")
        #expect(done.header == newFields + "To: \(address), \(address), \(address),\n  abcdefgh@y.ex.ample\n")
    }

    @Test(arguments: [0, 1, 2, 3, 7, 64, 1000])
    func deepNestingIsJustLong(_ depth: Int) throws {
        let done = try complete("To: \(String(repeating: "(", count: depth))\(String(repeating: ")", count: depth)) a@b.c\n\n")
        #expect(done.recipients == ["a@b.c"])
    }

    @Test func everyShortStringIsRead() throws {
        let alphabet = Array("a.@,<>:;(\"[)]\\ +".utf8)
        for number in 0..<(alphabet.count * alphabet.count * alphabet.count * alphabet.count) {
            var rest = number
            var value: [UInt8] = []
            for _ in 0..<4 {
                value.append(alphabet[rest % alphabet.count])
                rest /= alphabet.count
            }
            guard let field = HeaderField(Array("To: ".utf8) + value + [0x0A]) else { continue }
            let once = try CompletedHeader([field], settings())
            #expect(once.recipients.count <= 4)
        }
    }
}

@Suite struct HeaderSplitterTests {
    private func split(_ lines: [String]) -> (fields: [String], verdict: HeaderSplitter.Verdict) {
        var splitter = HeaderSplitter()
        var verdict = HeaderSplitter.Verdict.header
        for line in lines {
            verdict = splitter.take(Array(line.utf8)[...])
            if verdict != .header { break }
        }
        splitter.finish()
        return (splitter.fields.map(\.bytes.text), verdict)
    }

    @Test(
        arguments: [
            (["To: a\n", "\n"], ["To: a\n"], .separator), (["To: a\n", " b\n", "\tc\n", " \n", "\n"], ["To: a\n b\n\tc\n \n"], .separator),
            (["To: a\n", "no colon\n"], ["To: a\n"], .body), (["To: a\n", ": empty\n"], ["To: a\n"], .body),
            (["To: a\n", "bad name: x\n"], ["To: a\n"], .body),
            ([" leading\n"], [], .body), (["From joe Thu\n", "To: a"], ["MBOX-Line: From joe Thu\n", "To: a\n"], .header),
            ([">From joe\n"], [], .body), (["To \t: a\n"], ["To \t: a\n"], .header), ([], [], .header), (["X-Caf\u{E9}: v\n"], [], .body),
        ] as [([String], [String], HeaderSplitter.Verdict)])
    func fieldsAndEnd(_ lines: [String], _ fields: [String], _ verdict: HeaderSplitter.Verdict) {
        let done = split(lines)
        #expect(done.fields == fields)
        #expect(done.verdict == verdict)
    }
}

@Suite struct CompletedHeaderTests {
    @Test func hiddenFieldsGo() throws {
        let done = try complete("Bcc: b\nContent-Length: 5\nReturn-Path: <r@x>\nTo: a\nResent-Bccx: 1\n\n")
        #expect(done.header == newFields + "To: a@dh.dd.example\nResent-Bccx: 1\n")
        #expect(done.sender == "r@x.dd.example")
        #expect(done.recipients == ["b@dh.dd.example", "a@dh.dd.example"])
    }

    @Test func whatIsThereIsNotAdded() throws {
        let done = try complete("Date: today\nMessage-Id: bogus\nFrom: a, b\nCc:\n\n")
        #expect(done.header == "Date: today\nMessage-Id: bogus\nFrom: a@dh.dd.example, b@dh.dd.example\nCc:\n")
    }

    @Test func aMessageToNobodyInSightSaysSo() throws {
        #expect(try complete("Subject: s\n\n").header == newFields + "Cc: recipient list not shown: ;\nSubject: s\n")
    }

    @Test func resentFieldsTakeOver() throws {
        let done = try complete("Resent-To: r@x.example\nTo: a@x.example\n\n")
        #expect(
            done.header == """
                Resent-Date: 26 Sep 1995 04:46:54 -0000
                Resent-Message-ID: <19950926044654.345.qmail@id.example>
                Resent-From: joe@dh.dd.example
                Resent-To: r@x.example
                To: a@x.example

                """)
        #expect(done.recipients == ["r@x.example"])
    }

    @Test(
        arguments: [
            (.arguments, ["x@y.z"], ["x@y.z"]), (.header, ["x@y.z"], ["a@b.c"]), (.argumentsElseHeader, ["x@y.z"], ["x@y.z"]),
            (.argumentsElseHeader, [], ["a@b.c"]), (.both, ["x@y.z"], ["x@y.z", "a@b.c"]),
            (.both, ["", "a b@c", "q"], ["", "a b@c.dd.example", "q@dh.dd.example", "a@b.c"]),
        ] as [(SubmissionSettings.RecipientSource, [String], [String])])
    func whereRecipientsComeFrom(_ source: SubmissionSettings.RecipientSource, _ arguments: [String], _ recipients: [String]) throws {
        let done = try complete(
            "To: a@b.c\n\n",
            settings {
                $0.recipientSource = source
                $0.arguments = arguments.map { Array($0.utf8) }
            })
        #expect(done.recipients == recipients)
    }

    @Test func anUnreadableArgumentIsRefused() {
        #expect(throws: SubmissionError.address(Array("a@(".utf8))) { try complete("\n", settings { $0.arguments = [Array("a@(".utf8)] }) }
    }

    @Test(
        arguments: [
            ("", nil, nil, "", "joe@dh.dd.example"), ("", "s@x.y", nil, "", "s@x.y"), ("", "", nil, "", ""), ("", nil, "h", "", "joe@h.dd.example"),
            ("m", nil, "h.x", "", "joe-812090814.345@h.x"), ("r", nil, "h.x", "", "joe-@h.x-@[]"),
            ("mr", nil, "h.x", "", "joe-812090814.345-@h.x-@[]"),
            ("r", nil, nil, "Return-Path: <a@b.c>\n", "a@b.c-@[]"), ("s", nil, nil, "Return-Path: <a@b.c>\n", "joe@dh.dd.example"),
            ("mr", "s@x.y", nil, "", "s@x.y"), ("", nil, nil, "Return-Path:\n", "joe@dh.dd.example"), ("", nil, nil, "Return-Path: <>\n", ""),
        ] as [(String, String?, String?, String, String)])
    func senders(_ style: String, _ given: String?, _ host: String?, _ fields: String, _ sender: String) throws {
        let done = try complete(
            fields + "To: a\n\n",
            settings {
                $0.style = .init(letters: Array(style.utf8))
                $0.sender = given.map { Array($0.utf8) }
                $0.host = host.map { Array($0.utf8) }
            })
        #expect(done.sender == sender)
    }

    @Test(arguments: [("", "From: \"Joe \\\"X\\\"\" <joe@dh.dd.example>"), ("c", "From: joe@dh.dd.example (Joe \\\"X\\\")")])
    func personalNames(_ style: String, _ field: String) throws {
        let done = try complete(
            "To: a\n\n",
            settings {
                $0.style = .init(letters: Array(style.utf8))
                $0.personalName = Array("Joe \"X\"".utf8)
            })
        #expect(done.header.contains("\n\(field)\n"))
    }

    @Test func followUpsGoToTheList() throws {
        let lists = settings { $0.mailingLists = MailingLists(["zoo@x.example", "List@x.example", "ann@x.example"].map { Array($0.utf8) }) }
        let done = try complete("To: LIST@x.example, joe@z.example\nCc: a, b@c\n\n", lists)
        #expect(done.header.contains("\nMail-Followup-To: a@dh.dd.example,\n  b@c.dd.example,\n  LIST@x.example,\n  joe@z.example\nTo: "))
        #expect(try !complete("To: nobody@x.example\n\n", lists).header.contains("Mail-Followup-To"))
    }
}
