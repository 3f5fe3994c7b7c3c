internal import Addresses
private import Boundaries
private import FrameChannels
private import Frames
internal import NIOCore
private import Posix
internal import SMTPServer

/// Asks route who a recipient is. No answer within a second, or no route, is `unknown`: mail goes on without it.
///
/// A recipient that may be accepted is remembered for a second: mail to one address often comes in bursts. A refusal is never remembered.
final class RouteClient {
    private struct Question {
        let recipient: Address
        let answer: (Session.RecipientVerdict) -> Void
        let due: UInt64
    }

    private let client: FrameClient
    private var questions: [UInt32: Question] = [:]
    private var lastToken: UInt32 = 0

    private var remembered: [Address: (verdict: Session.RecipientVerdict, until: UInt64)] = [:]

    private static let memory: UInt64 = 1_000_000_000
    private static let maxRemembered = 1000
    private static let patience: UInt64 = 1_000_000_000
    private static let checkEvery = TimeAmount.milliseconds(200)

    init(on loop: any NIOCore.EventLoop) {
        client = FrameClient(Boundary.route.path, on: loop, maxLength: Route.Answer.maxLength)
        client.events.frame = { [unowned self] (frame) throws(FrameError) in
            let answer = try Route.Answer(frame)
            guard let question = questions.removeValue(forKey: answer.token) else { return }
            let verdict = RouteClient.verdict(answer.verdict)
            remember(verdict, question.recipient)
            question.answer(verdict)
        }
        client.events.disconnected = { [unowned self] in giveUp { _ in true } }
        client.start()
        loop.every(Self.checkEvery) { [weak self] in
            guard let self else { return false }
            let now = monotonicNanoseconds()
            if !questions.isEmpty { giveUp { $0.due <= now } }
            return true
        }
    }

    /// - Returns: the verdict when it is known now; else nil, and `answer` is called later, never from within: a client that sends thousands of
    ///   recipients at once must not make calls nest.
    func ask(_ recipient: Address, _ answer: @escaping (Session.RecipientVerdict) -> Void) -> Session.RecipientVerdict? {
        guard client.isConnected else { return .unknown }
        let now = monotonicNanoseconds()
        if let known = remembered[recipient], known.until > now { return known.verdict }
        repeat { lastToken &+= 1 } while questions[lastToken] != nil
        questions[lastToken] = Question(recipient: recipient, answer: answer, due: now + Self.patience)
        client.send(Route.Question(token: lastToken, recipient: recipient).encode)
        return nil
    }

    private static func verdict(_ answer: Route.Verdict) -> Session.RecipientVerdict {
        switch answer {
        case .exists: .exists
        case .nonexistent: .nonexistent
        case .unknown: .unknown
        }
    }

    private func remember(_ verdict: Session.RecipientVerdict, _ recipient: Address) {
        guard verdict != .nonexistent else { return }
        if remembered.count >= Self.maxRemembered { remembered.removeAll(keepingCapacity: true) }
        remembered[recipient] = (verdict, monotonicNanoseconds() + Self.memory)
    }

    func stop() { client.stop() }

    private func giveUp(where isOver: (Question) -> Bool) {
        let over = questions.filter { isOver($0.value) }
        for token in over.keys { questions[token] = nil }
        for question in over.values { question.answer(.unknown) }
    }
}
