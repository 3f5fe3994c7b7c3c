import Bytes
import SMTPServer
import Testing

/// hardening.md 1.1 "STATE desync": whatever the order of commands, the session agrees with a reference machine of a few lines.
@Suite struct StateModelTests {
    enum Symbol: CaseIterable {
        case ehlo, mail, badMail, rcpt, foreignRcpt, unknownRcpt, data, strayData, chunk, lastChunk, strayChunk, rset, vrfy, starttls
        case auth, wrongAuth, foreignMail

        /// What means something where nobody logs in.
        static let withoutLogins = allCases.filter { ![.auth, .wrongAuth, .foreignMail].contains($0) }
    }

    /// The reference: five facts.
    struct Reference {
        let isSubmission: Bool
        var hasAccount = false
        var hasMail = false
        var recipients = 0
        var isChunked = false
        var isEncrypted = false
        var codes: [Int] = []
        var asked = 0
        var charged = 0
        var begun = 0
        var accepted = 0

        init(isSubmission: Bool) { self.isSubmission = isSubmission }

        private mutating func reset() {
            hasMail = false
            recipients = 0
            isChunked = false
        }

        /// Two recipients are more than an account's share.
        private mutating func isRefused() -> Bool {
            guard isSubmission, !isChunked else { return false }
            charged += 1
            guard recipients == 2 else { return false }
            reset()
            return true
        }

        private mutating func message(_ isGood: Bool) -> Int {
            reset()
            if isGood { accepted += 1 }
            return isGood ? 250 : 550
        }

        private mutating func chunk(_ isGood: Bool, _ isLast: Bool) -> Int {
            guard recipients > 0 else { return 503 }
            if isRefused() { return 452 }
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
                if !isEncrypted {
                    reset()
                    hasAccount = false
                }
                codes.append(isEncrypted ? 503 : 220)
                isEncrypted = true
                return "STARTTLS\r\n"
            case .auth, .wrongAuth:
                let mayTry = isSubmission && !hasAccount && !hasMail && isEncrypted
                if symbol == .auth { hasAccount = hasAccount || mayTry }
                codes.append(mayTry ? (symbol == .auth ? 235 : 535) : !isSubmission ? 502 : hasAccount || hasMail ? 503 : 538)
                return symbol == .auth ? "AUTH PLAIN AGpvZQB4\r\n" : "AUTH PLAIN AGpvZQB5\r\n"
            case .mail, .badMail, .foreignMail:
                let code = isSubmission && !hasAccount ? 530 : symbol == .badMail ? 555 : symbol == .foreignMail && isSubmission ? 553 : 250
                codes.append(code)
                if code == 250 {
                    reset()
                    hasMail = true
                }
                return symbol == .mail
                    ? "MAIL FROM:<s@x.example>\r\n" : symbol == .badMail ? "MAIL FROM:<s@x.example\r\n" : "MAIL FROM:<boss@x.example>\r\n"
            case .rcpt, .foreignRcpt, .unknownRcpt:
                let isOpen = hasMail && !isChunked
                let isKnown = symbol != .foreignRcpt || hasAccount
                if isOpen, isKnown { asked += 1 }
                if isOpen, isKnown, symbol != .unknownRcpt { recipients += 1 }
                codes.append(!isOpen ? 503 : !isKnown ? 553 : symbol == .unknownRcpt ? 550 : 250)
                return symbol == .rcpt
                    ? "RCPT TO:<r@ok.example>\r\n" : symbol == .foreignRcpt ? "RCPT TO:<r@x>\r\n" : "RCPT TO:<nobody@ok.example>\r\n"
            case .data, .strayData:
                guard recipients > 0, !isChunked else {
                    codes.append(503)
                    return "DATA\r\n"
                }
                if isRefused() {
                    codes.append(452)
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
        limits.failedLogins = .max
        return limits
    }()

    private static let logins = LoginOffer(mechanisms: ["PLAIN"])

    /// All at once, as a pipelining client sends, but for STARTTLS and AUTH, behind which it has to wait. Returns whether machine and reference agree.
    private func agrees(_ symbols: some Sequence<Symbol>, isSubmission: Bool = false) -> Bool {
        var reference = Reference(isSubmission: isSubmission)
        var input: [UInt8] = []
        let dialog = Dialog(.modern, limits: Self.limits, service: isSubmission ? .submission : .smtp, logins: isSubmission ? Self.logins : .none)
        dialog.tlsIsReady = true
        dialog.login = { _, initial in
            initial?.last == UInt8(ascii: "x") ? .success(account: Array("joe".utf8), final: []) : .failure(.credentials)
        }
        dialog.permission = { $0.localPart.elementsEqual("boss".utf8) ? .foreignSender : .granted(recipients: 1000) }
        dialog.charge = { $0 == 2 ? .limitReached : .granted(recipients: 0) }
        for symbol in symbols {
            input.append(reference.say(symbol))
            guard symbol == .starttls || symbol == .auth || symbol == .wrongAuth else { continue }
            dialog.say(input)
            if symbol == .starttls { dialog.encrypt() }
            input = []
        }
        dialog.say(input)
        return dialog.codes == reference.codes && dialog.asked.count == reference.asked && dialog.begun == reference.begun
            && dialog.messages.count == reference.accepted && dialog.isInTransaction == reference.hasMail
            && dialog.sent.count == (isSubmission ? reference.accepted : 0) && dialog.charged.count == reference.charged
    }

    @Test(arguments: Symbol.withoutLogins) func everySequenceOfFive(_ first: Symbol) {
        let symbols = Symbol.withoutLogins
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

    /// Where logins are needed: all sequences of four, said at once, within TLS, and after a login.
    @Test(arguments: [[], [.starttls], [.starttls, .auth]] as [[Symbol]]) func everySequenceOfFourOfSubmission(_ start: [Symbol]) {
        let symbols = Symbol.allCases
        let count = symbols.count
        for number in 0..<count * count * count * count {
            var rest = number
            var sequence = start
            for _ in 0..<4 {
                sequence.append(symbols[rest % count])
                rest /= count
            }
            if !agrees(sequence, isSubmission: true) { Issue.record("\(sequence)") }
        }
    }

    @Test(arguments: 0..<8) func longRandomSequences(_ part: UInt64) {
        var generator = SplitMix(seed: 0x6D61_7274_6C65_7400 + part)
        for _ in 0..<25_000 {
            let seed = generator.state
            let sequence = (0..<Int.random(in: 1...12, using: &generator)).map { _ in Symbol.allCases.randomElement(using: &generator) ?? .rset }
            if !agrees(sequence, isSubmission: part % 2 == 1) { Issue.record("seed \(seed): \(sequence)") }
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
