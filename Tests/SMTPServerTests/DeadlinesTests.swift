import Reception
import SMTPServer
import Testing

/// hardening.md 1.5 "SLOW": silence, one byte now and then, and a message that never ends all meet their time.
@Suite struct DeadlinesTests {
    private var limits: Deadlines.Limits {
        var limits = Deadlines.Limits()
        limits.command = 100
        limits.transaction = 1000
        limits.minimumRate = 10
        limits.answer = 50
        return limits
    }
    private var session: Session { Session(.modern, Limits(), Policy(greeting: []), Client()) }
    private let moment = Session.Moment(time: 0)
    private let opening = "MAIL FROM:<>\r\nRCPT TO:<r@x>\r\nDATA\r\n"

    /// Says these parts at these times; returns who was too slow, and when, by the end of `until`.
    private func run(_ parts: [(at: Int, say: String)], until: Int) -> (who: Deadlines.Expiry, at: Int)? {
        var session = self.session
        var deadlines = Deadlines(limits, now: 0)
        for now in 0...until {
            for part in parts where part.at == now {
                _ = session.bytesReceived(Array(part.say.utf8), moment)
                deadlines.update(session.progress, received: part.say.utf8.count, now: Double(now))
            }
            if let expiry = deadlines.expired(now: Double(now)) { return (expiry, now) }
        }
        return nil
    }

    @Test func silence() {
        #expect(run([], until: 2000)?.at == 100)
        #expect(run([(90, "NOOP\r\n")], until: 2000)?.at == 190)
    }

    @Test func drippingACommandBuysNoTime() {
        #expect(run((1...200).map { ($0, "N") }, until: 2000)?.at == 100)
    }

    @Test func dataBuysTimeAtItsRate() {
        #expect(run([(0, opening)] + (1...900).map { ($0, "x") }, until: 2000)?.at == 112)
        #expect(run([(0, opening)] + (1...900).map { ($0, "0123456789") }, until: 990) == nil)
        #expect(run([(0, opening), (50, String(repeating: "x", count: 1 << 20))], until: 2000)?.at == 150)
    }

    @Test func aTransactionHasAnEnd() {
        #expect(run([(0, opening)] + (1...2000).map { ($0, "0123456789012345") }, until: 2000)?.at == 1000)
        let commands = [(0, "MAIL FROM:<>\r\n")] + (1...200).map { ($0 * 10, "RCPT TO:<r@x>\r\n") }
        #expect(run(commands, until: 2000)?.at == 1000)
    }

    @Test func theQueueHasItsTime() throws {
        let end = try #require(run([(0, opening + ".\r\n")], until: 2000))
        #expect(end.at == 50 && end.who == .answer)
    }
}
