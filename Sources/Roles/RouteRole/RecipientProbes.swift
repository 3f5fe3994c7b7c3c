private import Bytes
internal import Frames
internal import Posix

/// `control/rcptprobe`: has users' own delivery workers say whether they have a `.qmail` for an extension, which route may not look for itself
/// (docs/decisions/0011-rcptprobe.md).
///
/// Anybody may ask, by RCPT: so what one asks too often, too fast, or about too many, is not looked for but unknown, and the recipient is taken.
final class RecipientProbes {
    /// Below the second that smtpd waits for route, in nanoseconds.
    static let patience: UInt64 = 800_000_000
    /// How long an answer counts, in nanoseconds.
    static let memory: UInt64 = 60_000_000_000
    /// Beyond this number all that is remembered is dropped.
    static let maxRemembered = 10_000
    /// As many as lspawn takes (lspawn.h).
    static let maxUnderWay = 32
    static let maxPerSecond = 50
    /// So that questions about one user leave room for those about others.
    static let maxPerHomeAndSecond = 10

    private struct Subject: Hashable {
        let uid: UInt32
        let gid: UInt32
        let home: ArraySlice<UInt8>
        let dash: ArraySlice<UInt8>
        let ext: ArraySlice<UInt8>
    }

    private struct Pending {
        let subject: Subject
        var bodies: [(Route.Verdict) -> Void]
    }

    private let loop: EventLoop
    private let send: (Identity.Probe) -> Bool
    private var pending: [UInt32: Pending] = [:]
    private var tokens: [Subject: UInt32] = [:]
    private var remembered: [Subject: (verdict: Route.Verdict, until: UInt64)] = [:]
    private var lastToken: UInt32 = 0
    private var budget = Budget()

    /// What may still be asked in this second.
    private struct Budget {
        var second: UInt64 = 0
        var count = 0
        var byHome: [ArraySlice<UInt8>: Int] = [:]

        mutating func take(_ home: ArraySlice<UInt8>, now: UInt64) -> Bool {
            if now / 1_000_000_000 != second { self = Budget(second: now / 1_000_000_000) }
            guard count < RecipientProbes.maxPerSecond, byHome[home, default: 0] < RecipientProbes.maxPerHomeAndSecond else { return false }
            count += 1
            byHome[home, default: 0] += 1
            return true
        }
    }

    /// - Parameter send: to lspawn; false when it is not there.
    init(on loop: EventLoop, send: @escaping (Identity.Probe) -> Bool) {
        self.loop = loop
        self.send = send
    }

    /// Calls `body` once, within ``patience``; at once when the answer is known or nobody is asked.
    func ask(_ user: LocalUser, _ body: @escaping (Route.Verdict) -> Void) {
        // One `.qmail` answers for all ways to write an extension.
        let subject = Subject(uid: user.uid, gid: user.gid, home: user.home, dash: user.dash, ext: user.ext.lowercasedASCII()[...])
        let now = monotonicNanoseconds()
        if let known = remembered[subject], known.until > now { return body(known.verdict) }
        if let token = tokens[subject] {
            pending[token]?.bodies.append(body)
            return
        }
        guard pending.count < Self.maxUnderWay, budget.take(user.home, now: now) else { return body(.unknown) }
        repeat { lastToken &+= 1 } while pending[lastToken] != nil
        let token = lastToken
        guard send(Identity.Probe(token: token, user: user)) else { return body(.unknown) }
        pending[token] = Pending(subject: subject, bodies: [body])
        tokens[subject] = token
        loop.after(nanoseconds: Self.patience) { [weak self] in self?.end(token, .unknown) }
    }

    /// From lspawn. What comes too late is not used.
    func take(_ verdict: Route.Verdict, token: UInt32) { end(token, verdict) }

    private func end(_ token: UInt32, _ verdict: Route.Verdict) {
        guard let ended = pending.removeValue(forKey: token) else { return }
        tokens[ended.subject] = nil
        if verdict != .unknown {
            if remembered.count >= Self.maxRemembered { remembered.removeAll(keepingCapacity: true) }
            remembered[ended.subject] = (verdict, monotonicNanoseconds() &+ Self.memory)
        }
        for body in ended.bodies { body(verdict) }
    }
}
