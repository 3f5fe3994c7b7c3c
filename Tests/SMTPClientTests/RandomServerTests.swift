import Addresses
import SMTPClient
import Testing

/// Repeats a run by its seed.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

/// A session under random events, with the promises it must keep towards its shell.
private struct Trial {
    private var random: SeededGenerator
    private var session = ClientSession(peer: "192.0.2.1", heloHost: Array("us.example".utf8), demand: ConnectionDemand(tls: .ifOffered))
    private var hasAskedForTLS = false
    private var awaitsTLS = false
    private var isEncrypted = false
    private var isUnderWay = false
    private var isIdle = true
    private var isClosed = false
    private var wantsContent = false
    private var recipients = 0
    /// What an honest server would say next.
    private var due = ["220 x\r\n"]
    private(set) var broken: String?
    private(set) var delivered = 0

    init(seed: UInt64) { random = SeededGenerator(state: seed) }

    private static let lines = [
        "220 x\r\n", "250 ok\r\n", "250-a\r\n250 PIPELINING\r\n", "250-a\r\n250-PIPELINING\r\n250 CHUNKING\r\n", "250-x\r\n250 SMTPUTF8\r\n",
        "354 go\r\n", "354 go\r\n", "250 ok\r\n", "450 later\r\n", "550 no\r\n", "421 bye\r\n", "junk\r\n", "250", "-more\r\n", " ", "\n",
        "\u{0}\r\n",
    ]

    mutating func run(steps: Int) {
        for _ in 0..<steps where !isClosed && broken == nil { step() }
        if !isClosed { take(session.connectionClosed()) }
        if isUnderWay { broken = "a transaction without an end" }
    }

    private mutating func step() {
        if awaitsTLS, Int.random(in: 0..<10, using: &random) > 0 { return endHandshake() }
        if wantsContent, Bool.random(using: &random) {
            wantsContent = false
            let piece = Array(["a\r\n", ".\n", "x", "\r", ""].randomElement(using: &random).map(\.utf8) ?? "".utf8)
            return take(session.contentRead(piece[...], isLast: Bool.random(using: &random)))
        }
        if isIdle, !isUnderWay, Bool.random(using: &random) { return begin() }
        switch Int.random(in: 0..<60, using: &random) {
        case 0: take(session.connectionClosed())
        case 1: take(session.deadlinePassed())
        case 2 where !isUnderWay: take(session.quit())
        case 3 where isUnderWay: take(session.contentFailed())
        default:
            if Int.random(in: 0..<20, using: &random) > 0 { return sayWhatIsDue() }
            let count = Int.random(in: 1...3, using: &random)
            take(session.received((0..<count).flatMap { _ in Array(Self.lines.randomElement(using: &random)?.utf8 ?? "".utf8) }))
        }
    }

    private mutating func endHandshake() {
        awaitsTLS = false
        isEncrypted = Int.random(in: 0..<5, using: &random) > 0
        take(isEncrypted ? session.tlsStarted() : session.tlsFailed("it had to"))
    }

    private mutating func sayWhatIsDue() {
        guard !due.isEmpty else { return }
        take(session.received(Array(due.removeFirst().utf8)))
    }

    /// Commands and the end of content make replies due.
    private mutating func note(_ bytes: [UInt8]) {
        for line in String(decoding: bytes, as: UTF8.self).replacing("\r\n", with: "\n").split(separator: "\n") {
            switch line.prefix(4) {
            case "EHLO": due.append(Self.lines[Int.random(in: 1...5, using: &random)])
            case "STAR":
                hasAskedForTLS = true
                due.append(Int.random(in: 0..<10, using: &random) == 0 ? "454 no\r\n" : "220 go\r\n")
            case "MAIL" where hasAskedForTLS && !isEncrypted: broken = "mail in clear to one that offers TLS"
            case "MAIL", "RCPT", "BDAT", "RSET", "HELO": due.append(Int.random(in: 0..<10, using: &random) == 0 ? "550 no\r\n" : "250 ok\r\n")
            case "DATA": due.append("354 go\r\n")
            case ".": due.append("250 taken\r\n")
            default: break
            }
        }
    }

    private mutating func begin() {
        recipients = Int.random(in: 1...3, using: &random)
        let pool = ["r@b", "gr\u{FC}n@b", "a b@c", "x@y> z"].compactMap { Address($0.utf8) }
        let chosen = (0..<recipients).compactMap { _ in pool.randomElement(using: &random) }
        isUnderWay = true
        isIdle = false
        take(session.begin(MailTransaction(sender: .null, recipients: chosen, content: ContentSummary("a\n".utf8))))
    }

    private mutating func take(_ actions: [ClientSession.Action]) {
        for action in actions {
            if isClosed { broken = "\(action) after close" }
            switch action {
            case .send(let bytes): note(bytes)
            case .restartDeadline: break
            case .readContent:
                if !isUnderWay || wantsContent { broken = "content of nothing wanted" }
                wantsContent = true
            case .finish(let report):
                let reports = report.combined
                if !isUnderWay || reports.count != recipients { broken = "\(reports.count) reports for \(recipients)" }
                if reports.contains(where: { $0.text.last != 0x0A }) { broken = "a text without line end" }
                delivered += reports.count { $0.class == .delivered }
                end()
            case .giveBack, .passOn:
                if !isUnderWay { broken = "nothing to give back" }
                end()
            case .startTLS:
                if hasAskedForTLS { awaitsTLS = true } else { broken = "TLS that nobody asked for" }
            case .idle:
                if isUnderWay { broken = "idle in a transaction" }
                isIdle = true
            case .close: isClosed = true
            }
        }
    }

    private mutating func end() {
        isUnderWay = false
        wantsContent = false
        // A refused connection is no place for another; after RSET the next transaction may wait for its answer.
        isIdle = true
    }
}

@Suite struct RandomServerTests {
    @Test func everyTransactionEndsOnceWhateverTheServerDoes() {
        var delivered = 0
        for seed in UInt64(0)..<5_000 {
            var trial = Trial(seed: seed)
            trial.run(steps: 60)
            if let broken = trial.broken {
                Issue.record("seed \(seed): \(broken)")
                return
            }
            delivered += trial.delivered
        }
        #expect(delivered > 1_000, "the server must be honest often enough to get anywhere")
    }
}
