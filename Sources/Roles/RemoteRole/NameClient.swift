private import Boundaries
internal import Frames
internal import Posix

/// Asks role dns. Questions survive its death: they are asked again on the next connection, until they are given up.
final class NameClient {
    private struct Pending {
        let question: NameLookup.Question
        let completion: (NameLookup.Result) -> Void
    }

    private let loop: EventLoop
    private var peer: FramePeer?
    private var reconnection: Reconnection?
    private var pending: [UInt32: Pending] = [:]
    private var lastToken: UInt32 = 0

    init(on loop: EventLoop) {
        self.loop = loop
        reconnection = Reconnection(on: loop) { [unowned self] in try connect() }
    }

    func start() { reconnection?.attempt() }

    /// - Returns: what ``giveUp(_:)`` takes.
    func ask(_ kind: NameLookup.Kind, _ name: [UInt8], _ completion: @escaping (NameLookup.Result) -> Void) -> UInt32 {
        lastToken &+= 1
        let question = NameLookup.Question(token: lastToken, kind: kind, name: name[...])
        pending[lastToken] = Pending(question: question, completion: completion)
        peer?.send { question.encode(into: &$0) }
        return lastToken
    }

    func giveUp(_ tokens: [UInt32]) { for token in tokens { pending[token] = nil } }

    private func connect() throws {
        let peer = try FramePeer(
            Boundary.dns.connect(), on: loop, maxLength: NameLookup.Answer.maxLength,
            onFrame: { [weak self] (frame) throws(FrameError) in try self?.take(NameLookup.Answer(frame)) },
            onClose: { [weak self] _ in
                self?.peer = nil
                self?.reconnection?.retryLater()
            })
        self.peer = peer
        for token in pending.keys.sorted() {
            guard let question = pending[token]?.question else { continue }
            peer.send { question.encode(into: &$0) }
        }
    }

    private func take(_ answer: NameLookup.Answer) {
        reconnection?.succeeded()
        pending.removeValue(forKey: answer.token)?.completion(answer.result)
    }
}
