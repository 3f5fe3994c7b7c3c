import QmailCommands
import Testing

@Suite struct OptionsTests {
    private func bytes(_ arguments: [String]) -> [[UInt8]] { arguments.map { Array($0.utf8) } }

    /// spec-qmail §0 and §12.1.
    @Test(
        arguments: [
            (["-t", "r"], "t", ["r"]), (["-ti"], "ti", []), (["-tfs@x"], "tf=s@x", []), (["-f", "s", "r"], "f=s", ["r"]), (["-f", ""], "f=", []),
            (["-", "r"], "", ["-", "r"]), (["-i", "--", "-t"], "i", ["-t"]), (["r", "-t"], "", ["r", "-t"]), (["-Jxyz", "r"], "J", ["r"]),
            (["-fa", "-fb"], "f=af=b", []), ([], "", []), (["--"], "", []),
        ] as [([String], String, [String])])
    func clustersValuesAndTheirEnd(_ arguments: [String], _ read: String, _ rest: [String]) throws {
        let options = try Options(bytes(arguments), accepting: "tif:J;")
        #expect(
            options.options.map { "fJ".contains($0.letter) && $0.letter == "f" ? "f=\(String(decoding: $0.value, as: UTF8.self))" : "\($0.letter)" }
                .joined() == read)
        #expect(options.rest == bytes(rest))
    }

    @Test(
        arguments: [
            (["-q"], "illegal option -- q"), (["-t:"], "illegal option -- :"), (["-t;"], "illegal option -- ;"), (["--help"], "illegal option -- -"),
            (["-f"], "option requires an argument -- f"), (["-tf"], "option requires an argument -- f"),
        ] as [([String], String)])
    func whatIsWrongIsSaid(_ arguments: [String], _ message: String) {
        do {
            _ = try Options(bytes(arguments), accepting: "tif:J;")
            Issue.record("must fail")
        } catch {
            #expect(String(decoding: error.message(Array("prog".utf8)), as: UTF8.self) == "prog: \(message)\n")
        }
    }
}
