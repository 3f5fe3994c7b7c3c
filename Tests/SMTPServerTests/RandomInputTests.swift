import Bytes
import SMTPServer
import Testing

/// Whatever comes, in whatever pieces: no crash, only well-formed replies, and the pieces make no difference.
@Suite struct RandomInputTests {
    private static let tokens: [[UInt8]] = [
        "EHLO c\r\n", "HELO", "MAIL FROM:<s@x.example>\r\n", "MAIL FROM:<", "RCPT TO:<r@ok.example>\r\n", "RCPT TO:<nobody@ok.example>\r\n",
        "DATA\r\n", "BDAT 3\r\n",
        "BDAT 5 LAST\r\n", "BDAT ", "99999999999", "RSET\r\n", "NOOP\n", "VRFY \"\\", "SIZE=1", " SMTPUTF8", "é", "\r", "\n", "\r\n", ".",
        "\r\n.\r\n", "\0", " ", ">", "@", ":",
        "Received: x\r\n", "text",
    ].map { Array($0.utf8) }

    @Test(arguments: [Profile.modern, .classic], 0..<4 as Range<UInt64>) func piecesMakeNoDifference(_ profile: Profile, _ part: UInt64) {
        var generator = SplitMix(seed: 0x736D_7470_6400 + part)
        for _ in 0..<500 {
            let seed = generator.state
            var input = Array("MAIL FROM:<s@x.example>\r\nRCPT TO:<r@ok.example>\r\n".utf8)
            for _ in 0..<Int.random(in: 1...40, using: &generator) {
                input += Self.tokens.randomElement(using: &generator) ?? []
                if Int.random(in: 0..<20, using: &generator) == 0 { input.append(.random(in: 0...255, using: &generator)) }
            }
            let whole = Dialog(profile, greets: true)
            whole.say(input)
            let pieces = Dialog(profile, greets: true)
            var rest = input[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...9, using: &generator))
                pieces.say(Array(piece))
                rest = rest.dropFirst(piece.count)
            }
            #expect(ReplyTests.isWellFormed(whole.output), "seed \(seed)")
            #expect(whole.output == pieces.output && whole.messages == pieces.messages && whole.isClosed == pieces.isClosed, "seed \(seed)")
            #expect(whole.phase == pieces.phase && whole.begun == pieces.begun && whole.aborted == pieces.aborted, "seed \(seed)")
        }
    }
}
