import SMTPClient
import Testing
import WireContent

private func encoded(_ pieces: [[UInt8]], _ form: MessageEncoder.Form = .data, _ strayCR: MessageEncoder.StrayCR = .space) -> [UInt8] {
    var encoder = MessageEncoder(form, strayCR: strayCR)
    var output: [UInt8] = []
    for piece in pieces { encoder.encode(piece[...], into: &output) }
    encoder.finish(into: &output)
    return output
}

@Suite struct MessageEncoderTests {
    @Test(arguments: [
        ("", ".\r\n", ""),
        ("a\n", "a\r\n.\r\n", "a\r\n"),
        ("a", "a\r\n.\r\n", "a\r\n"),
        (".\n", "..\r\n.\r\n", ".\r\n"),
        ("a\n.b\n..\n", "a\r\n..b\r\n...\r\n.\r\n", "a\r\n.b\r\n..\r\n"),
        ("a.b\n", "a.b\r\n.\r\n", "a.b\r\n"),
        ("a\r\nb\n", "a\r\nb\r\n.\r\n", "a\r\nb\r\n"),
        ("a\r\r\nb\n", "a \r\nb\r\n.\r\n", "a \r\nb\r\n"),
        ("a\rb\n", "a b\r\n.\r\n", "a b\r\n"),
        ("\r.\n", " .\r\n.\r\n", " .\r\n"),
        ("a\n\r.\r\n", "a\r\n .\r\n.\r\n", "a\r\n .\r\n"),
        ("a\r", "a \r\n.\r\n", "a \r\n"),
        ("\n", "\r\n.\r\n", "\r\n"),
    ])
    func outputByForm(_ content: String, _ data: String, _ chunk: String) {
        #expect(encoded([Array(content.utf8)]) == Array(data.utf8))
        #expect(encoded([Array(content.utf8)], .chunk) == Array(chunk.utf8))
    }

    /// qmail-remote's way (spec-qmail §14.2), but never an undoubled dot nor a bare CR.
    @Test(arguments: [
        ("lone\rcr\n", "lone\r\ncr\r\n.\r\n"), ("a\r", "a\r\n.\r\n"), ("x\r\r\ny\n", "x\r\n\r\ny\r\n.\r\n"),
        ("\r.\rz\n", "\r\n..\r\nz\r\n.\r\n"), ("a\r\nb\r\n", "a\r\nb\r\n.\r\n"),
    ])
    func strayCRAsALineEnd(_ content: String, _ output: String) {
        #expect(encoded([Array(content.utf8)], .data, .lineEnd) == Array(output.utf8))
    }

    @Test func cutsDoNotMatter() {
        let content = Array("a\r\n.b\r.\n..\r\r\n\n.\r\nlonger text than a word\r\n.and more".utf8)
        for form in [MessageEncoder.Form.data, .chunk] {
            let whole = encoded([content], form)
            for first in 0...content.count {
                for second in first...content.count {
                    let pieces = [content[..<first], content[first..<second], content[second...]].map { Array($0) }
                    #expect(encoded(pieces, form) == whole)
                }
            }
            #expect(encoded(content.map { [$0] }, form) == whole)
        }
    }

    /// hardening.md "SMG-out": no receiver, however lenient, finds the end of a message anywhere but at its end.
    @Test(arguments: [MessageEncoder.StrayCR.space, .lineEnd])
    func everyShortContentIsOneMessageToEveryReceiver(_ strayCR: MessageEncoder.StrayCR) {
        let alphabet: [UInt8] = [0x0D, 0x0A, 0x2E, 0x00, 0x61]
        var wrong: [[UInt8]] = []
        var checked = 0
        for length in 0...8 {
            var digits = [Int](repeating: 0, count: length)
            repeat {
                let content = digits.map { alphabet[$0] }
                checked += 1
                if !isSafe(content, strayCR) { wrong.append(content) }
            } while advance(&digits, base: alphabet.count)
        }
        #expect(checked == 488_281)
        #expect(wrong.isEmpty, "first of \(wrong.count): \(wrong.first ?? [])")
    }

    private func advance(_ digits: inout [Int], base: Int) -> Bool {
        for index in digits.indices {
            digits[index] += 1
            if digits[index] < base { return true }
            digits[index] = 0
        }
        return false
    }

    private func isSafe(_ content: [UInt8], _ strayCR: MessageEncoder.StrayCR) -> Bool {
        guard !ContentSummary(content).hasNUL else { return content.contains(0) }
        let output = encoded([content], .data, strayCR)
        let lines = encoded([content], .chunk, strayCR)
        guard !content.contains(0), holdsOnlyCRLF(output), holdsOnlyCRLF(lines) else { return false }
        return Receiver.allCases.allSatisfy { $0.messages(in: output) == [output.count] } && unstuffed(output) == lines
    }

    private func holdsOnlyCRLF(_ output: [UInt8]) -> Bool {
        output.indices.allSatisfy { index in
            switch output[index] {
            case 0x0D: index + 1 < output.count && output[index + 1] == 0x0A
            case 0x0A: index > 0 && output[index - 1] == 0x0D
            default: true
            }
        }
    }

    /// What a strict receiver keeps of DATA: the same as BDAT gives.
    private func unstuffed(_ output: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var atLineStart = true
        for byte in output.dropLast(3) {
            if !(atLineStart && byte == 0x2E) { result.append(byte) }
            atLineStart = byte == 0x0A
        }
        return result
    }
}

/// How receivers are known to find the end of data.
private enum Receiver: CaseIterable {
    case strict, lfLenient, crLenient, nulStripping

    /// Where each message ends, counted in bytes of `stream`.
    func messages(in stream: [UInt8]) -> [Int] {
        var ends: [Int] = []
        var line: [UInt8] = []
        for (index, byte) in stream.enumerated() {
            if self == .nulStripping, byte == 0 { continue }
            line.append(byte)
            guard let content = complete(line, next: index + 1 < stream.count ? stream[index + 1] : nil) else { continue }
            if content == [0x2E] { ends.append(index + 1) }
            line = []
        }
        return ends
    }

    /// The line without its end, when `line` has one.
    private func complete(_ line: [UInt8], next: UInt8?) -> [UInt8]? {
        let isCRLF = line.suffix(2) == [0x0D, 0x0A]
        switch self {
        case .strict, .nulStripping: return isCRLF ? line.dropLast(2) : nil
        case .lfLenient: return line.last == 0x0A ? Array(line.dropLast(isCRLF ? 2 : 1)) : nil
        case .crLenient:
            if isCRLF { return line.dropLast(2) }
            return line.last == 0x0D && next != 0x0A ? line.dropLast() : nil
        }
    }
}

@Suite struct ContentSummaryTests {
    @Test func countsAcrossPieces() {
        var bytes = (0..<100).map { UInt8($0 % 26 + 97) }
        for index in stride(from: 3, to: 100, by: 7) { bytes[index] = 0x0A }
        for cut in 0...100 {
            var summary = ContentSummary()
            summary.add(bytes[..<cut])
            summary.add(bytes[cut...])
            #expect(summary == ContentSummary(bytes))
        }
        #expect(ContentSummary(bytes).transferSize == 100 + 14)
        #expect(!ContentSummary(bytes).hasNUL && !ContentSummary(bytes).isEightBit)
    }

    @Test(arguments: 0..<20) func findsOneByteAnywhere(_ place: Int) {
        var bytes = [UInt8](repeating: 0x61, count: 20)
        bytes[place] = 0
        #expect(ContentSummary(bytes).hasNUL && !ContentSummary(bytes).isEightBit)
        bytes[place] = 0x80
        #expect(!ContentSummary(bytes).hasNUL && ContentSummary(bytes).isEightBit)
        bytes[place] = 0x01
        #expect(!ContentSummary(bytes).hasNUL && !ContentSummary(bytes).isEightBit)
    }
}
