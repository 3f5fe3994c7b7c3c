import QmailCommands
import Testing

@Suite struct LineEndsTests {
    private static let cases: [(input: String, output: String)] = [
        ("", ""), ("a\nb\n", "a\nb\n"), ("a\r\nb\r\n", "a\nb\n"), ("a\r\nb\nc\r\n\r\n", "a\nb\nc\n\n"),
        // The first line decides.
        ("a\nb\r\n", "a\nb\r\n"), ("\r\na\r\n", "\na\n"), ("\na\r\n", "\na\r\n"),
        // A CR elsewhere stays.
        ("a\rb\r\nc\rd\r\r\ne\r", "a\rb\nc\rd\r\ne\r"), ("a\r\r\nb\r\n", "a\r\nb\n"), ("a\r", "a\r"), ("\r", "\r"), ("a\nb\r", "a\nb\r"),
    ]

    /// In pieces of every size, so that every CR is once the last byte that has come.
    @Test(arguments: LineEndsTests.cases.indices) func crlfBecomesLF(_ index: Int) {
        let (input, output) = Self.cases[index]
        let bytes = Array(input.utf8)
        for size in 1...(bytes.count + 1) {
            var lineEnds = LineEnds()
            var buffer: [UInt8] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                let old = buffer.count
                buffer += bytes[start..<min(start + size, bytes.count)]
                lineEnds.convert(&buffer, from: old, isAtEnd: false)
            }
            lineEnds.convert(&buffer, from: buffer.count, isAtEnd: true)
            #expect(String(decoding: buffer, as: UTF8.self) == output)
        }
    }
}
