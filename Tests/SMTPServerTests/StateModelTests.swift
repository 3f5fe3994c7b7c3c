import Bytes
import SMTPServer
import Testing

/// hardening.md 1.1 "STATE desync": whatever the order of commands, the session agrees with a reference machine of a few lines.
@Suite struct StateModelTests {
    enum Symbol: CaseIterable {
        case ehlo, mail, badMail, rcpt, foreignRcpt, unknownRcpt, data, strayData, chunk, lastChunk, strayChunk, rset, vrfy, starttls
    }

    /// The reference: four facts.
    struct Reference {
        var hasMail = false
        var recipients = 0
        var isChunked = false
        var isEncrypted = false
        var codes: [Int] = []
        var asked = 0
        var begun = 0
        var accepted = 0

        private mutating func reset() {
            hasMail = false
            recipients = 0
            isChunked = false
        }

        private mutating func message(_ isGood: Bool) -> Int {
            reset()
            if isGood { accepted += 1 }
            return isGood ? 250 : 550
        }

        private mutating func chunk(_ isGood: Bool, _ isLast: Bool) -> Int {
            guard recipients > 0 else { return 503 }
            if !isChunked { begun += 1 }
            isChunked = true
            return isLast || !isGood ? message(isGood) : 250
        }

        /// What is said, and what the reply is.
        mutating func say(_ symbol: Symbol) -> StaticString {
            switch symbol {
            case .ehlo, .rset, .vrfy:
                if symbol != .vrfy { reset() }
                codes.append(symbol == .vrfy ? 252 : 250)
                return symbol == .ehlo ? "EHLO c\r\n" : symbol == .rset ? "RSET\r\n" : "VRFY é\r\n"
            case .starttls:
                if !isEncrypted { reset() }
                codes.append(isEncrypted ? 503 : 220)
                isEncrypted = true
                return "STARTTLS\r\n"
            case .mail:
                reset()
                hasMail = true
                codes.append(250)
                return "MAIL FROM:<s@x.example>\r\n"
            case .badMail:
                codes.append(555)
                return "MAIL FROM:<s@x.example\r\n"
            case .rcpt, .foreignRcpt, .unknownRcpt:
                let isOpen = hasMail && !isChunked
                if isOpen, symbol != .foreignRcpt { asked += 1 }
                if isOpen, symbol == .rcpt { recipients += 1 }
                codes.append(!isOpen ? 503 : symbol == .rcpt ? 250 : symbol == .foreignRcpt ? 553 : 550)
                return symbol == .rcpt
                    ? "RCPT TO:<r@ok.example>\r\n" : symbol == .foreignRcpt ? "RCPT TO:<r@x>\r\n" : "RCPT TO:<nobody@ok.example>\r\n"
            case .data, .strayData:
                guard recipients > 0, !isChunked else {
                    codes.append(503)
                    return "DATA\r\n"
                }
                begun += 1
                codes += [354, message(symbol == .data)]
                return symbol == .data ? "DATA\r\nMAIL FROM:<x>\r\n.\r\n" : "DATA\r\nx\nRSET\r\n.\r\n"
            case .chunk, .lastChunk, .strayChunk:
                codes.append(chunk(symbol != .strayChunk, symbol == .lastChunk))
                return symbol == .chunk ? "BDAT 6\r\nNOOP\r\n" : symbol == .lastChunk ? "BDAT 6 LAST\r\nQUIT\r\n" : "BDAT 5\r\nx\n.\r\n"
            }
        }
    }

    private static let limits: Limits = {
        var limits = Limits()
        limits.errors = .max
        return limits
    }()

    /// All at once, as a pipelining client sends, but for STARTTLS, behind which it has to wait. Returns whether machine and reference agree.
    private func agrees(_ symbols: some Sequence<Symbol>) -> Bool {
        var reference = Reference()
        var input: [UInt8] = []
        let dialog = Dialog(.modern, limits: Self.limits)
        dialog.tlsIsReady = true
        for symbol in symbols {
            input.append(reference.say(symbol))
            guard symbol == .starttls else { continue }
            dialog.say(input)
            dialog.encrypt()
            input = []
        }
        dialog.say(input)
        return dialog.codes == reference.codes && dialog.asked.count == reference.asked && dialog.begun == reference.begun
            && dialog.messages.count == reference.accepted && dialog.isInTransaction == reference.hasMail
    }

    @Test(arguments: Symbol.allCases) func everySequenceOfFive(_ first: Symbol) {
        let symbols = Symbol.allCases
        let count = symbols.count
        // The shorter ones are their beginnings: a reply or an action that differs there differs here.
        for number in 0..<count * count * count * count {
            var rest = number
            var sequence = [first]
            for _ in 0..<4 {
                sequence.append(symbols[rest % count])
                rest /= count
            }
            if !agrees(sequence) { Issue.record("\(sequence)") }
        }
    }

    @Test(arguments: 0..<8) func longRandomSequences(_ part: UInt64) {
        var generator = SplitMix(seed: 0x6D61_7274_6C65_7400 + part)
        for _ in 0..<25_000 {
            let seed = generator.state
            let sequence = (0..<Int.random(in: 1...12, using: &generator)).map { _ in Symbol.allCases.randomElement(using: &generator) ?? .rset }
            if !agrees(sequence) { Issue.record("seed \(seed): \(sequence)") }
        }
    }
}

/// Vigna's splitmix64: a sequence that its seed repeats.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
