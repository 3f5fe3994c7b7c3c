import Bytes
import SMTPServer
import Testing

/// hardening.md 1.1 "RESP injection": `^[2-5][0-9]{2}[ -][\x20-\x7e]{0,506}\r\n$` for every line, whatever was said.
@Suite struct ReplyTests {
    static func isWellFormed(_ output: [UInt8]) -> Bool {
        guard output.isEmpty || output.suffix(2).elementsEqual([ASCII.cr, ASCII.lf]) else { return false }
        return output.split(separator: ASCII.lf).allSatisfy { line in
            let line = Array(line)
            guard line.count >= 5, line.count <= 511, line.last == ASCII.cr else { return false }
            return (0x32...0x35).contains(line[0]) && line[1].isDigit && line[2].isDigit && (line[3] == ASCII.space || line[3] == ASCII.hyphen)
                && line[4..<line.count - 1].allSatisfy { (0x20...0x7E).contains($0) }
        }
    }

    @Test(arguments: [Profile.modern, Profile.classic]) func noByteBreaksAReply(_ profile: Profile) {
        for byte in UInt8.min...UInt8.max {
            for (start, end) in [
                ("HELO a", "b"), ("EHLO ", ""), ("MAIL FROM:<a", "@x.example>"), ("MAIL FROM:<a@x> SIZE=", ""), ("VRFY ", "z"), ("X", "Y"), ("", ""),
            ] {
                let dialog = Dialog(profile, greets: true)
                dialog.say(Array(start.utf8) + [byte] + Array("\(end)\r\nNOOP\r\n".utf8))
                #expect(Self.isWellFormed(dialog.output) && dialog.codes.last == 250, "\(start) \(byte)")
                #expect(dialog.codes.count == (byte == ASCII.lf ? 4 : 3), "one reply for a line: \(start) \(byte)")
            }
            let dialog = Dialog(profile)
            dialog.say(Array("MAIL FROM:<>\r\nRCPT TO:<r".utf8) + [byte] + Array("@ok.example>\r\n".utf8))
            #expect(Self.isWellFormed(dialog.output), "RCPT \(byte)")
        }
    }

    @Test func noTextFromOurOwnSideBreaksOne() {
        let every = Array(UInt8.min...UInt8.max)
        let policy = Policy(greeting: every + every + every)
        let dialog = Dialog(.modern, policy: policy, greets: true)
        dialog.say("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<r@x>\r\n")
        dialog.queueAnswer = .refused(isPermanent: true, text: every.text + String(repeating: "x", count: 600))
        dialog.say("DATA\r\n.\r\nQUIT\r\n")
        #expect(Self.isWellFormed(dialog.output))
        #expect(dialog.codes == [220, 250, 250, 250, 354, 554, 221])
    }

    /// NUL and control bytes are refused in commands, CR among them.
    @Test func controlBytesInCommands() {
        for byte in UInt8.min..<0x20 where byte != ASCII.lf {
            let dialog = Dialog(.modern)
            dialog.say(Array("MAIL FROM:<a".utf8) + [byte] + Array("b@x.example>\r\n".utf8))
            #expect(dialog.replies() == "500 5.5.2 syntax error (#5.5.2)\r\n", "\(byte)")
        }
    }
}
