import SMTPClient
import Testing

/// spec-qmail §14.1: what qmail-rspawn makes of the reports of a program in qmail-remote's place. The recorded cases have more (Tests/Golden).
struct ProgramOutputTests {
    private static func report(_ pieces: [UInt8]...) -> RecipientReport {
        var output = ProgramOutput()
        for piece in pieces { output.add(piece) }
        return output.report
    }

    private static func report(_ text: String) -> RecipientReport { report(Array(text.utf8)) }

    @Test(
        arguments: [
            ("r\0Kok\n\0", .delivered, "ok\n"), ("r\0Zlater\0", .deferred, "later"), ("hA\0DB\0", .failed, "AB"), ("sA\0DB\0", .deferred, "AB"),
            ("sA\0KB\0", .deferred, "A"), ("hA\0KB\0", .failed, "A"), ("r\0", .failed, ""), ("sA\0", .deferred, "A"),
            ("xA\0Kok\0", .delivered, "Aok"),
            ("r\0r\0Kx\0", .delivered, ""), ("", .failed, ""),
            // What no NUL closes is no report; but who it is about to refuse is heard.
            ("r\0Kok", .failed, ""), ("Kok", .failed, ""), ("slater", .deferred, ""), ("Zlater\0Kok", .deferred, "later"),
        ] as [(String, RecipientReport.Class, String)])
    func mapping(output: String, outcome: RecipientReport.Class, text: String) {
        #expect(Self.report(output) == RecipientReport(outcome, text))
    }

    @Test func piecesMakeNoDifference() {
        let output = Array("hrefused\n\0Dgiving up\n\0".utf8)
        for cut in output.indices {
            #expect(Self.report(Array(output[..<cut]), Array(output[cut...])) == RecipientReport(.failed, "refused\ngiving up\n"))
        }
    }

    /// However much a program prints, its verdict is heard and little is kept.
    @Test func endlessTextIsCut() {
        let long = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
        let report = Self.report(Array("s".utf8), long, long, [0], Array("Z".utf8), long, [0])
        #expect(report.class == .deferred)
        #expect(report.text == [UInt8](repeating: UInt8(ascii: "x"), count: 20_000))
    }

    @Test func aProgramThatSaysNothing() {
        var output = ProgramOutput()
        output.add([])
        #expect(output.isEmpty)
        output.add([0])
        #expect(!output.isEmpty)
    }
}
