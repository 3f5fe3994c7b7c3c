import SMTPClient
import Testing

private func parse(_ bytes: [UInt8], limits: ReplyParser.Limits = ReplyParser.Limits()) throws -> [Reply] {
    var parser = ReplyParser(limits: limits)
    parser.append(bytes)
    var replies: [Reply] = []
    while let reply = try parser.next() { replies.append(reply) }
    return replies
}

@Suite struct ReplyParserTests {
    @Test(arguments: [
        ("250 ok\r\n", 250, "250 ok\n"),
        ("250\r\n", 250, "250\n"),
        ("250 ok\n", 250, "250 ok\n"),
        ("250-one\r\n250-two\r\n250 three\r\n", 250, "250-one\n250-two\n250 three\n"),
        ("550-no\r\n250 yes\r\n", 550, "550-no\n250 yes\n"),
        ("550 a\rb\u{0}\u{1B}[31m\tc\r\n", 550, "550 ab??[31m\tc\n"),
        ("452 \u{E9}\r\n", 452, "452 \u{E9}\n"),
    ])
    func replies(_ input: String, _ code: Int, _ text: String) throws {
        #expect(try parse(Array(input.utf8)) == [Reply(code: code, text: Array(text.utf8))])
        var parser = ReplyParser()
        for (index, byte) in input.utf8.enumerated() {
            parser.append([byte])
            let reply = try parser.next()
            #expect((reply != nil) == (index + 1 == input.utf8.count))
        }
        #expect(parser.isEmpty)
    }

    @Test(arguments: ["250", "250 ok", "250-ok\r\n", "250-a\r\n250-b\r\n", ""]) func incomplete(_ input: String) throws {
        #expect(try parse(Array(input.utf8)) == [])
    }

    @Test(arguments: ["\r\n", "hello\r\n", "25 ok\r\n", "+25 ok\r\n", "100 go\r\n", "650 x\r\n", "250-ok\r\nbad\r\n", "2 50\r\n"])
    func malformed(_ input: String) {
        #expect(throws: ReplyParser.Malformed.self) { try parse(Array(input.utf8)) }
    }

    @Test func severalInOnePiece() throws {
        #expect(try parse(Array("250 a\r\n550-b\r\n550 c\r\n354 d\r\n".utf8)).map(\.code) == [250, 550, 354])
    }

    @Test func limits() throws {
        let long = Array("250 ".utf8) + [UInt8](repeating: 0x61, count: 4091)
        #expect((try? parse(long + [0x0A]))?.count == 1)
        #expect((try? parse(long + [0x61, 0x0A])) == nil)
        #expect(throws: ReplyParser.Malformed.self) { try parse([UInt8](repeating: 0x32, count: 4096)) }

        let line = Array("250-".utf8) + [UInt8](repeating: 0x62, count: 994) + [0x0D, 0x0A]
        let twenty = Array((0..<20).map { _ in line }.joined())
        let reply = try parse(twenty + Array("250 end\r\n".utf8))
        #expect(reply.first?.text.count == 5000)
        #expect(reply.first?.text.last == 0x0A)
        let endless = Array((0..<70).map { _ in line }.joined())
        #expect((try? parse(endless)) == nil)
    }
}
