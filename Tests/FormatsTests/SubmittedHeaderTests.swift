import Addresses
import Bytes
import MessageHeader
import Testing

/// RFC 6409 §8, spec-qmail §11: what a submission lacks is added, and no more.
@Suite struct SubmittedHeaderTests {
    private static let completion = HeaderCompletion(
        rewriting: AddressRewriting(
            defaultHost: Array("host.example".utf8), defaultDomain: Array("domain.example".utf8), plusDomain: Array("plus.example".utf8)),
        idHost: Array("id.example".utf8), uniqueName: "17.4.2")

    private func header(sender: String = "joe@host.example") throws -> SubmittedHeader {
        SubmittedHeader(Self.completion, sender: try #require(Address(Array(sender.utf8))), now: 812_090_814)
    }

    private func completed(_ message: String, sender: String = "joe@host.example") throws -> String {
        var header = try header(sender: sender)
        return (header.take(Array(message.utf8)) ?? header.finish()).text
    }

    private static let date = "Date: 26 Sep 1995 04:46:54 -0000\n"
    private static let id = "Message-ID: <19950926044654.17.4.2.qmail@id.example>\n"

    @Test func whatIsMissing() throws {
        #expect(try completed("Subject: x\n\nbody\n") == "\(Self.date)\(Self.id)From: <joe@host.example>\nSubject: x\n\nbody\n")
        #expect(try completed("From: a@b.example\nDate: now\nMessage-Id: <x>\n\n") == "From: a@b.example\nDate: now\nMessage-Id: <x>\n\n")
        #expect(try completed("no header\n") == "\(Self.date)\(Self.id)From: <joe@host.example>\n\nno header\n")
        #expect(try completed("") == "\(Self.date)\(Self.id)From: <joe@host.example>\n")
        #expect(try completed("Subject: x\n\n", sender: "") == "\(Self.date)\(Self.id)Subject: x\n\n")
        let quoted = try completed("Subject: x\n\n", sender: "a b@host.example")
        #expect(quoted.contains("From: <\"a b\"@host.example>\n"))
    }

    @Test(arguments: [
        ("From: joe", "From: joe@host.example"), ("To: joe@short, Jane <jane>", "To: joe@short.domain.example, Jane <jane@host.example>"),
        ("Cc: joe@a+", "Cc: joe@a.plus.example"), ("Reply-To: joe", "Reply-To: joe@host.example"),
    ]) func bareAddresses(_ field: String, _ result: String) throws {
        #expect(try completed("Date: x\nMessage-ID: x\nFrom: a@b.c\n\(field)\n\n") == "Date: x\nMessage-ID: x\nFrom: a@b.c\n\(result)\n\n")
    }

    /// Byte for byte: a signature may cover it.
    @Test(arguments: [
        "From:   Joe   <joe@host.example>", "To: a@b.example,c@d.example", "To:\n\ta@b.example (A\n\tB)", "Cc: undisclosed-recipients:;",
        "To: \"unbalanced <a@b.example>", "From: =?utf-8?q?J=C3=B6?= <joe@host.example>", "From: Jö <joe@host.example>", "X-To: bare", "To: <>",
    ]) func whatIsComplete(_ field: String) throws {
        #expect(try completed("Date: x\nMessage-ID: x\nFrom: a@b.c\n\(field)\n\nbody") == "Date: x\nMessage-ID: x\nFrom: a@b.c\n\(field)\n\nbody")
    }

    @Test func whatMustNotBeTold() throws {
        let said =
            "Date: x\nBCC: secret@x.example,\n other@x.example\nMessage-ID: x\nResent-Bcc: y\nReturn-Path: <z>\nContent-Length: 5\nFrom: a@b.c\n\n"
        #expect(try completed(said) == "Date: x\nMessage-ID: x\nFrom: a@b.c\n\n")
    }

    @Test func piecesMakeNoDifference() throws {
        let message = Array("To: joe\nSubject: a\n b\nBcc: c\n\nbody\n\nBcc: stays\n".utf8)
        let whole = try completed(message.text)
        for cut in 0...message.count {
            var header = try header()
            var result: [UInt8] = []
            var isOver = false
            for piece in [Array(message[..<cut]), Array(message[cut...])] {
                if isOver { result += piece } else if let done = header.take(piece) { (result, isOver) = (result + done, true) }
            }
            if !isOver { result += header.finish() }
            #expect(result.text == whole, "\(cut)")
        }
    }
}
