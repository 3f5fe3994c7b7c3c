internal import Addresses
private import Boundaries
private import FrameChannels
private import Frames
internal import NIOCore
private import Posix
internal import SMTPServer

/// Asks route who a recipient is. No answer within a second, or no route, is `unknown`: mail goes on without it.
final class RouteClient {
    private struct Question {
        let answer: (Session.RecipientVerdict) -> Void
        let due: UInt64
    }

    private let client: FrameClient
    private var questions: [UInt32: Question] = [:]
    private var lastToken: UInt32 = 0

    private static let patience: UInt64 = 1_000_000_000
    private static let checkEvery = TimeAmount.milliseconds(200)

    init(on loop: any NIOCore.EventLoop) {
        client = FrameClient(Boundary.route.path, on: loop, maxLength: Route.Answer.maxLength)
        client.events.frame = { [unowned self] (frame) throws(FrameError) in
            let answer = try Route.Answer(frame)
            guard let question = questions.removeValue(forKey: answer.token) else { return }
            question.answer(answer.verdict == .nonexistent ? .nonexistent : answer.verdict == .exists ? .exists : .unknown)
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

    func ask(_ recipient: Address, _ answer: @escaping (Session.RecipientVerdict) -> Void) {
        guard client.isConnected else { return answer(.unknown) }
        repeat { lastToken &+= 1 } while questions[lastToken] != nil
        questions[lastToken] = Question(answer: answer, due: monotonicNanoseconds() + Self.patience)
        client.send(Route.Question(token: lastToken, recipient: recipient).encode)
    }

    func stop() { client.stop() }

    private func giveUp(where isOver: (Question) -> Bool) {
        let over = questions.filter { isOver($0.value) }
        for token in over.keys { questions[token] = nil }
        for question in over.values { question.answer(.unknown) }
    }
}
