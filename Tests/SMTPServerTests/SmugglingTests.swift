import Bytes
import SMTPServer
import Testing

/// hardening.md 1.1 "SMG-in": whatever stands for a line end or an end of data elsewhere, here it is data; one message or one refusal comes of it, never two.
@Suite struct SmugglingTests {
    /// What would end a message for somebody, and the reply it gets at the true end.
    static let vectors: [(sequence: String, code: Int)] = [
        ("\n.\n", 550), ("\n.\r", 550), ("\r.\n", 550), ("\r.\r", 550), ("\n.\r\n", 550), ("\r.\r\n", 550), ("\r\n.\n", 550), ("\r\n.\r", 550),
        ("\r\n.\r\r\n", 550), ("\r\r\n.\r\r\n", 550), ("\r\n\0.\r\n", 550), ("\r\n.\0\r\n", 550), ("\r\n.\u{0B}\r\n", 250), ("\u{85}.\u{85}", 250),
        ("\u{2028}.\u{2028}", 250), ("\r\n .\r\n", 250),
    ]
    private static let commands = "MAIL FROM:<evil@x.example>\r\nRCPT TO:<r@ok.example>\r\nDATA\r\nQUIT\r\n"

    private func check(_ dialog: Dialog, _ code: Int, _ note: @autoclosure () -> String) {
        #expect(dialog.codes.first == 354 && dialog.codes.dropFirst() == [code], "\(note())")
        #expect(dialog.messages.count == (code == 250 ? 1 : 0) && dialog.begun == 1, "\(note())")
        #expect(!dialog.isInTransaction && !dialog.isClosed, "\(note())")
    }

    @Test(arguments: vectors) func inData(_ sequence: String, _ code: Int) {
        let bytes = Array("DATA\r\nSubject: t\r\n\r\na\(sequence)\(Self.commands)\r\n.\r\n".utf8)
        let whole = Dialog.ready()
        whole.say(bytes)
        check(whole, code, "whole")
        let single = Dialog.ready()
        for byte in bytes { single.say([byte]) }
        check(single, code, "byte by byte")
        for split in 1..<bytes.count {
            let halves = Dialog.ready()
            halves.say(Array(bytes[..<split]))
            halves.say(Array(bytes[split...]))
            check(halves, code, "split at \(split)")
            #expect(halves.messages == whole.messages && single.messages == whole.messages)
        }
    }

    @Test(arguments: vectors) func inChunks(_ sequence: String, _ code: Int) {
        let content = Array("Subject: t\r\n\r\na\(sequence)\(Self.commands)\r\n.\r\n".utf8)
        func chunk(_ part: some Collection<UInt8>, _ last: String) -> [UInt8] { Array("BDAT \(part.count)\(last)\r\n".utf8) + part }
        let whole = Dialog.ready()
        whole.say(chunk(content, " LAST"))
        #expect(whole.codes == [code] && whole.messages.count == (code == 250 ? 1 : 0))
        for split in 1..<content.count {
            let two = Dialog.ready()
            two.say(chunk(content[..<split], ""))
            let isRefusedAlready = two.codes != [250]
            two.say(chunk(content[split...], " LAST"))
            // A chunk that shows the fault is refused; what follows it is read, and for nobody.
            #expect(two.codes == (isRefusedAlready ? [code, 503] : [250, code]), "split at \(split)")
            #expect(two.messages == whole.messages && two.begun == 1 && !two.isInTransaction)
        }
    }

    @Test(arguments: vectors) func theNextTransactionIsUnharmed(_ sequence: String, _ code: Int) {
        let dialog = Dialog.ready()
        dialog.say("DATA\r\na\(sequence)b\r\n.\r\nMAIL FROM:<next@x.example>\r\nRCPT TO:<r@ok.example>\r\nDATA\r\nnext\r\n.\r\nQUIT\r\n")
        #expect(dialog.codes == [354, code, 250, 250, 354, 250, 221])
        #expect(dialog.messages.last?.envelope.sender.description == "next@x.example" && dialog.messages.last?.body.text == "next\n")
    }

    /// spec-qmail §13.4: a bare LF ends the session; CR and NUL are kept.
    @Test(
        arguments: [
            ("a\nb\r\n.\r\n", "451 See https://cr.yp.to/docs/smtplf.html.\r\n", nil),
            ("a\r\n.\nQUIT\r\n", "451 See https://cr.yp.to/docs/smtplf.html.\r\n", nil),
            ("a\r\r\nb\r\n.\r\n", "250 ok 1700000000 qp 42\r\n", "a\r\nb\n"), ("x\r\n.\r\r\n.\r\n", "250 ok 1700000000 qp 42\r\n", "x\n.\r\n"),
            ("\r\n.x\r\n\0\r\n.\r\n", "250 ok 1700000000 qp 42\r\n", "\nx\n\0\n"),
        ] as [(String, String, String?)])
    func classic(_ data: String, _ reply: String, _ body: String?) {
        let dialog = Dialog.ready(.classic)
        #expect(dialog.exchange("DATA\r\n\(data)") == "354 go ahead\r\n" + reply)
        #expect(dialog.messages.first?.body.text == body && dialog.isClosed == (body == nil))
    }

    /// Every string over what framing is made of comes out as the plain rule says, however it is cut.
    @Test func decodingIsTheRuleWhateverTheCut() {
        let alphabet: [UInt8] = [0x0D, 0x0A, 0x2E, 0x61]
        for length in 0...6 {
            for number in 0..<(1 << (2 * length)) {
                let data = (0..<length).map { alphabet[number >> (2 * $0) & 3] } + Array("\r\n.\r\n".utf8)
                let expected = reference(data)
                let whole = Dialog.ready()
                whole.say(Array("DATA\r\n".utf8) + data)
                let single = Dialog.ready()
                single.say("DATA\r\n")
                for byte in data { single.say([byte]) }
                let wanted = expected.isClean ? [354, 250] : [354, 550]
                #expect(Array(whole.codes.prefix(2)) == wanted && Array(single.codes.prefix(2)) == wanted, "\(data)")
                #expect(whole.messages.first?.body == (expected.isClean ? expected.content : nil) && single.messages == whole.messages, "\(data)")
            }
        }
    }

    /// RFC 5321 §4.5.2 as simple as it can be written.
    private func reference(_ data: [UInt8]) -> (content: [UInt8], isClean: Bool) {
        var lines: [[UInt8]] = [[]]
        var index = 0
        while index < data.count {
            if data[index...].starts(with: [0x0D, 0x0A]) {
                if lines.last == [0x2E] { break }
                lines.append([])
                index += 2
            } else {
                lines[lines.count - 1].append(data[index])
                index += 1
            }
        }
        let content = lines.dropLast()
        let isClean = !content.contains { $0.contains(0x0D) || $0.contains(0x0A) }
        return (content.flatMap { ($0.first == 0x2E ? Array($0.dropFirst()) : $0) + [0x0A] }, isClean)
    }
}
