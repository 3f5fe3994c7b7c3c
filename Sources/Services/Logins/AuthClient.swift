package import Addresses
private import Boundaries
private import FrameChannels
package import Frames
package import NIOCore
private import Posix

/// Asks auth who a client is and what an account may send: one connection to `run/auth` for all sessions of a process.
///
/// Lives on its loop. Answers come later, never from within a call: a client must not make calls nest.
///
/// Module `Logins` is what the roles with clients know of logins. It must not know passwords, nor what a mechanism says.
package final class AuthClient {
    /// What comes next in a login that was begun: challenges, then one of the others.
    package enum Step: Equatable {
        case challenge([UInt8])
        case success(Success)
        case failure(Login.Refusal)
    }

    /// As ``Login/Answer/success`` has it.
    package struct Success: Equatable {
        package let account: [UInt8]
        package let ticket: [UInt8]
        package let final: [UInt8]
    }

    package struct Permission: Equatable {
        package let verdict: Login.Permission
        /// How many recipients the account may still address.
        package let recipients: UInt32
    }

    package struct Exchange: Equatable { fileprivate let token: UInt32 }

    private struct Waiting {
        let step: (Step) -> Void
        /// When auth must have answered; ``never`` while a challenge is with the client.
        var due: UInt64
        /// It has ended while a challenge was with the client, who is told when he answers it.
        var refusal: Login.Refusal?
    }

    private struct Question {
        let answer: (Permission?) -> Void
        let due: UInt64
    }

    private let client: FrameClient
    private let loop: any NIOCore.EventLoop
    private var exchanges: [UInt32: Waiting] = [:]
    private var questions: [UInt32: Question] = [:]
    private var lastToken: UInt32 = 0
    private var isStopped = false

    /// A checked password may wait behind many others for its turn.
    private static let loginPatience: UInt64 = 30_000_000_000
    private static let permitPatience: UInt64 = 5_000_000_000
    private static let never = UInt64.max
    private static let checkEvery = TimeAmount.milliseconds(500)

    package init(on loop: any NIOCore.EventLoop) {
        self.loop = loop
        client = FrameClient(Boundary.auth.path, on: loop, maxLength: Login.Answer.maxLength)
        client.events.frame = { [unowned self] (frame) throws(FrameError) in take(try Login.Answer(frame)) }
        client.events.disconnected = { [unowned self] in giveUp(before: Self.never) }
        client.start()
        watch()
    }

    /// - Parameters:
    ///   - mechanism, binding, initial: as ``Login/Request/begin`` has them.
    ///   - step: called for each challenge, and once for the end; not after ``cancel(_:)``, and not between a challenge and ``respond(_:_:)``.
    package func begin(
        _ service: Login.Service, _ origin: Login.Origin, mechanism: [UInt8], binding: [UInt8] = [], initial: [UInt8]?,
        _ step: @escaping (Step) -> Void
    ) -> Exchange {
        let token = newToken()
        exchanges[token] = Waiting(step: step, due: monotonicNanoseconds() + Self.loginPatience)
        send(.begin(token: token, service, origin, mechanism: mechanism[...], binding: binding[...], initial: initial?[...]))
        return Exchange(token: token)
    }

    package func respond(_ exchange: Exchange, _ bytes: [UInt8]) {
        guard let waiting = exchanges[exchange.token] else { return }
        if let refusal = waiting.refusal {
            return loop.assumeIsolated().execute { [self] in exchanges.removeValue(forKey: exchange.token)?.step(.failure(refusal)) }
        }
        exchanges[exchange.token]?.due = monotonicNanoseconds() + Self.loginPatience
        send(.respond(token: exchange.token, bytes[...]))
    }

    /// The client gave up, or is gone: nothing is called any more.
    package func cancel(_ exchange: Exchange) {
        guard exchanges.removeValue(forKey: exchange.token) != nil else { return }
        send(.cancel(token: exchange.token))
    }

    /// May the account send one more message with this sender?
    /// - Parameter answer: called with nil when auth does not answer.
    package func permit(_ account: [UInt8], sender: Address, _ answer: @escaping (Permission?) -> Void) {
        let token = newToken()
        questions[token] = Question(answer: answer, due: monotonicNanoseconds() + Self.permitPatience)
        send(.permit(token: token, account: account[...], sender: sender))
    }

    package func sent(_ account: [UInt8], recipients: UInt32) { send(.sent(account: account[...], recipients: recipients)) }

    package func stop() {
        isStopped = true
        client.stop()
        exchanges = [:]
        questions = [:]
    }

    // MARK: - Frames

    private func newToken() -> UInt32 {
        repeat { lastToken &+= 1 } while exchanges[lastToken] != nil || questions[lastToken] != nil
        return lastToken
    }

    private func send(_ request: Login.Request) {
        if client.isConnected { return client.send(request.encode) }
        loop.assumeIsolated().execute { [self] in if !client.isConnected { giveUp(before: Self.never) } }
    }

    private func take(_ answer: Login.Answer) {
        switch answer {
        case .challenge(let token, let bytes):
            // How long the client may think is the session's to say.
            exchanges[token]?.due = Self.never
            exchanges[token]?.step(.challenge(Array(bytes)))
        case .success(let token, let account, let ticket, let final):
            exchanges.removeValue(forKey: token)?.step(.success(Success(account: Array(account), ticket: Array(ticket), final: Array(final))))
        case .failure(let token, let refusal):
            fail(token, refusal)
            questions.removeValue(forKey: token)?.answer(nil)
        case .permission(let token, let verdict, let recipients):
            questions.removeValue(forKey: token)?.answer(Permission(verdict: verdict, recipients: recipients))
        }
    }

    private func fail(_ token: UInt32, _ refusal: Login.Refusal) {
        guard let waiting = exchanges[token] else { return }
        guard waiting.due != Self.never else {
            exchanges[token]?.refusal = refusal
            return
        }
        exchanges[token] = nil
        waiting.step(.failure(refusal))
    }

    // MARK: - Time

    /// What is not answered by `time` is given up.
    private func giveUp(before time: UInt64) {
        for (token, waiting) in exchanges where waiting.due <= time {
            // Without a connection there is nobody to tell.
            client.send(Login.Request.cancel(token: token).encode)
            fail(token, .temporary)
        }
        for (token, question) in questions where question.due <= time {
            questions[token] = nil
            question.answer(nil)
        }
    }

    private func watch() {
        loop.assumeIsolated().scheduleTask(in: Self.checkEvery) { [weak self] in
            guard let self, !isStopped else { return }
            giveUp(before: monotonicNanoseconds())
            watch()
        }
    }
}
