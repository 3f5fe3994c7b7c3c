import Addresses
import Bytes
import Testing

@Suite struct ALabelsTests {
    /// RFC 5891 §5; the longer ones are like the samples of RFC 3492 §7.1; all were checked with another encoder.
    @Test(arguments: [
        ("example.org", "example.org"), ("EXAMPLE.Org", "EXAMPLE.Org"), ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.Example", "xn--bcher-kva.example"), ("faß.de", "xn--fa-hia.de"), ("münchen.münchen", "xn--mnchen-3ya.xn--mnchen-3ya"),
        ("ü", "xn--tda"), ("例え.テスト", "xn--r8jz45g.xn--zckzah"), ("παράδειγμα.δοκιμή", "xn--hxajbheg2az3al.xn--jxalpdlp"),
        ("пример.испытание", "xn--e1afmkfd.xn--80akhbyknj4f"), ("उदाहरण.परीक्षा", "xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g"),
        ("ليهمابتكلموشعربي", "xn--mgbcah9ar9a4efegftvvn"),
        ("他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"), ("почемужеонинеговорятпорусски", "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l"),
        ("3年b組金八先生", "xn--3b-ww4c5e180e575a65lsy2b"), ("のどb", "xn--b-49to"), ("x.ü.", "x.xn--tda."),
    ])
    func domains(_ domain: String, _ expected: String) {
        #expect(domainInALabels(domain.utf8)?.text == expected)
    }

    @Test(arguments: [
        "u\u{308}.example",  // not composed
        "\u{301}a.ü", "ü b.example", "ü\u{0}.example", "ü/x", "ü@x", "😀.example", "ü。example", "a\u{200D}ü", "\u{AC}ü",
        String(repeating: "ü", count: 64), String(String.UnicodeScalarView((0..<40).compactMap { Unicode.Scalar(0x4E00 + 37 * $0) })) + ".example",
    ])
    func whatIsNone(_ domain: String) {
        #expect(domainInALabels(domain.utf8) == nil)
    }

    @Test func bytesThatAreNoUTF8() {
        #expect(domainInALabels([0xFC, 0x2E, 0x64]) == nil)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...70, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            if let result = domainInALabels(bytes) { #expect(result.allSatisfy { $0 < 0x80 }, "\(bytes)") }
        }
    }
}
