private import Boundaries
private import FrameChannels
private import Frames
internal import NIOCore
private import Posix

/// Has role keys sign, over `run/keys`. Without an answer in time a signature fails, and with it one handshake.
final class KeyClient {
    private let loop: any NIOCore.EventLoop
    private let role: String
    private let client: FrameClient
    private struct Question {
        let request: Signing.Request
        let promise: EventLoopPromise<ByteBuffer>
        let deadline: Scheduled<Void>
    }

    private var questions: [UInt32: Question] = [:]
    private var lastToken: UInt32 = 0
    private var isComplained = false

    private static let patience = TimeAmount.seconds(5)

    struct Unanswered: Error {}
    struct Refused: Error {}

    init(on loop: any NIOCore.EventLoop, role: String) {
        self.loop = loop
        self.role = role
        client = FrameClient(Boundary.keys.path, on: loop, maxLength: Signing.Answer.maxLength)
        client.events.frame = { [unowned self] (frame) throws(FrameError) in
            isComplained = false
            switch try Signing.Answer(frame) {
            case .signature(let token, let bytes): end(token, .success(ByteBuffer(bytes: bytes)))
            case .refused(let token): end(token, .failure(Refused()))
            }
        }
        // A signature may be asked for twice: what an earlier role keys left unanswered is for its successor.
        client.events.connected = { [unowned self] in
            for question in questions.values { client.send(question.request.encode) }
        }
        client.start()
    }

    func stop() { client.stop() }

    /// - Parameter scheme: TLS SignatureScheme.
    func sign(_ bytes: ByteBuffer, with certificate: String, scheme: UInt16) -> EventLoopFuture<ByteBuffer> {
        let promise = loop.makePromise(of: ByteBuffer.self)
        repeat { lastToken &+= 1 } while questions[lastToken] != nil
        let token = lastToken
        let deadline = loop.assumeIsolated().scheduleTask(in: Self.patience) { [weak self] in
            self?.complain()
            self?.end(token, .failure(Unanswered()))
        }
        let request = Signing.Request(
            token: token, certificate: Array(certificate.utf8)[...], scheme: scheme, bytes: Array(bytes.readableBytesView)[...])
        questions[token] = Question(request: request, promise: promise, deadline: deadline)
        client.send(request.encode)
        return promise.futureResult
    }

    private func end(_ token: UInt32, _ result: Result<ByteBuffer, any Error>) {
        guard let question = questions.removeValue(forKey: token) else { return }
        question.deadline.cancel()
        question.promise.completeWith(result)
    }

    /// Once, until role keys is there again.
    private func complain() {
        guard !isComplained else { return }
        isComplained = true
        log("\(role): warning: role keys does not answer; TLS handshakes fail")
    }
}
