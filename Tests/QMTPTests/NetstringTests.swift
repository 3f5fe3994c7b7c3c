import Bytes
import Netstrings
import Testing

@Suite("Netstrings (qmail §15)") struct NetstringTests {
    /// The contents of whole netstrings, and what came of the rest.
    private struct Reading: Equatable {
        var contents: [String] = []
        var failure: NetstringReader.Failure?
        var isBetween = true
    }

    private func read(_ pieces: [[UInt8]]) -> Reading {
        var reader = NetstringReader()
        var reading = Reading()
        var content: [UInt8] = []
        for piece in pieces {
            var input = piece[...]
            do throws(NetstringReader.Failure) {
                while let part = try reader.next(&input) {
                    switch part {
                    case .began: content = []
                    case .content(let bytes): content += bytes
                    case .ended: reading.contents.append(content.text)
                    }
                }
            } catch {
                reading.failure = error
                return reading
            }
        }
        reading.isBetween = reader.isBetween
        return reading
    }

    @Test(
        "Input, contents, and what is wrong behind them",
        arguments: [
            ("", [], nil, true), ("5:hello,", ["hello"], nil, true), ("0:,1:a,", ["", "a"], nil, true), ("3:a,b,", ["a,b"], nil, true),
            ("003:abc,", ["abc"], nil, true), ("5:hel", [], nil, false), ("1", [], nil, false), ("1:a", [], nil, false),
            ("1:ab", [], .malformed, true), (":,", [], .malformed, true), ("-1:x,", [], .malformed, true), ("+1:x,", [], .malformed, true),
            ("1 :x,", [], .malformed, true), ("1:a,x", ["a"], .malformed, true), ("\u{0}", [], .malformed, true),
            ("2000000001:", [], .tooLong, true), ("2147483648:", [], .tooLong, true), ("4294967297:x,", [], .tooLong, true),
            ("9223372036854775808:", [], .tooLong, true), ("18446744073709551617:x,", [], .tooLong, true),
            ("9999999999999999999999999999999999999999:", [], .tooLong, true), ("2000000000:", [], nil, false),
        ] as [(String, [String], NetstringReader.Failure?, Bool)])
    func readings(_ input: String, _ contents: [String], _ failure: NetstringReader.Failure?, _ isBetween: Bool) {
        let wanted = Reading(contents: contents, failure: failure, isBetween: isBetween)
        #expect(read([Array(input.utf8)]) == wanted)
        #expect(read(input.utf8.map { [$0] }) == wanted, "byte by byte")
    }

    @Test("What is written is read") func written() {
        var bytes: [UInt8] = []
        for content in ["", "a", "5:x,", String(repeating: "y", count: 1000)] { bytes.append(netstring: content.utf8) }
        #expect(read([bytes]).contents == ["", "a", "5:x,", String(repeating: "y", count: 1000)])
        #expect(bytes.starts(with: Array("0:,1:a,4:5:x,,1000:y".utf8)))
    }
}
