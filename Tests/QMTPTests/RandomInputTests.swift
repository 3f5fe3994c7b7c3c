import Reception
import Testing

@Suite("Random input to QMTP and QMQP") struct RandomInputTests {
    /// xorshift64*
    private struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state ^= state >> 12
            state ^= state << 25
            state ^= state >> 27
            return state &* 0x2545_F491_4F6C_DD1D
        }
    }

    private struct Outcome: Equatable {
        var output: [UInt8]
        var begun: Int
        var aborted: Int
        var committed: Int
        var ending: PackageEnding?

        init<Server: PackageServer>(_ conversation: Conversation<Server>) {
            output = conversation.output
            begun = conversation.begun
            aborted = conversation.aborted
            committed = conversation.messages.count
            ending = conversation.ending
        }
    }

    private func outcomes<Server: PackageServer>(_ input: [UInt8], _ make: () -> Conversation<Server>, _ random: inout Random) -> [Outcome] {
        var whole = make()
        whole.say(input)
        whole.hangUp()
        var cut = make()
        var left = input[...]
        while !left.isEmpty {
            let piece = left.prefix(Int.random(in: 1...5, using: &random))
            left = left[piece.endIndex...]
            cut.say(Array(piece))
        }
        cut.hangUp()
        return [Outcome(whole), Outcome(cut)]
    }

    /// Near misses: whole packages with some bytes changed, taken away or put in.
    private func damaged(_ text: String, _ random: inout Random) -> [UInt8] {
        let alphabet = Array("0123459:,\n\r\0a@".utf8)
        var bytes = Array(text.utf8)
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            let position = Int.random(in: 0..<bytes.count, using: &random)
            let byte = alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
            switch Int.random(in: 0...2, using: &random) {
            case 0: bytes[position] = byte
            case 1: bytes.insert(byte, at: position)
            default: if bytes.count > 1 { bytes.remove(at: position) }
            }
        }
        return bytes
    }

    @Test("Cuts do not matter, and each message that begins is committed or given up") func cuts() {
        let seed = UInt64.random(in: 1 ... .max)
        var random = Random(state: seed)
        let packages = qmtpPackage("\rx\r\ny", "s", ["a@ok.example", "b@bad.example"]) + qmtpPackage("\nz", "", ["c@ok.example"])
        let single = request("x\n", "s", ["a", "b@c"])
        for _ in 0..<20_000 {
            let qmtps = outcomes(damaged(packages, &random), { qmtp() }, &random)
            let qmqps = outcomes(damaged(single, &random), { qmqp() }, &random)
            for pair in [qmtps, qmqps] {
                #expect(pair[0] == pair[1], "seed \(seed)")
                #expect(pair[0].begun == pair[0].committed + pair[0].aborted, "seed \(seed)")
            }
            if qmtps[0] != qmtps[1] || qmqps[0] != qmqps[1] { return }
        }
    }
}
