internal import Boundaries
internal import Frames
private import Glibc
internal import Posix

/// Has `martlet-authcheck` answer: a process for each question, so many at a time. A back end that hangs holds its own places only.
final class CheckDesk {
    static let maxUnderWay = 24
    static let maxPerBackend = 12
    static let maxWaiting = 256
    /// authcheck ends itself earlier.
    private static let patienceSeconds = 25.0

    private struct Backend: Hashable {
        let method: Check.Method
        let program: ArraySlice<UInt8>
    }

    private struct Waiting {
        let question: Check.Question
        let body: (Check.Answer) -> Void
        let until: UInt64
    }

    /// One that is asked.
    private final class Inquiry {
        var peer: PacketPeer?
        var body: ((Check.Answer) -> Void)?
        let backend: Backend
        init(_ backend: Backend, _ body: @escaping (Check.Answer) -> Void) {
            self.backend = backend
            self.body = body
        }
    }

    private let loop: EventLoop
    private let spawner: SpawnerLine
    private var inquiries: [ObjectIdentifier: Inquiry] = [:]
    private var counts: [Backend: Int] = [:]
    private var waiting: [Waiting] = []

    init(on loop: EventLoop, _ spawner: SpawnerLine) {
        self.loop = loop
        self.spawner = spawner
    }

    /// Calls `body` once.
    func ask(_ question: Check.Question, _ body: @escaping (Check.Answer) -> Void) {
        let until = monotonicNanoseconds() &+ UInt64(Self.patienceSeconds * 1e9)
        guard waiting.count < Self.maxWaiting else { return body(Self.trouble("too many questions for authcheck wait")) }
        waiting.append(Waiting(question: question, body: body, until: until))
        startNext()
    }

    private func startNext() {
        let now = monotonicNanoseconds()
        var index = 0
        while index < waiting.count, inquiries.count < Self.maxUnderWay {
            let backend = Backend(method: waiting[index].question.method, program: waiting[index].question.program)
            guard waiting[index].until > now else {
                waiting.remove(at: index).body(Self.trouble("authcheck has no time"))
                continue
            }
            guard counts[backend, default: 0] < Self.maxPerBackend else {
                index += 1
                continue
            }
            let next = waiting.remove(at: index)
            start(next.question, backend, next.body)
        }
    }

    private func start(_ question: Check.Question, _ backend: Backend, _ body: @escaping (Check.Answer) -> Void) {
        let inquiry = Inquiry(backend, body)
        counts[backend, default: 0] += 1
        inquiries[ObjectIdentifier(inquiry)] = inquiry
        do throws(SystemError) {
            var ends: [Int32] = [-1, -1]
            try check("socketpair") { socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) }
            let theirs = FileDescriptor(owning: ends[1])
            let peer = try PacketPeer(FileDescriptor(owning: ends[0]), on: loop) { [weak self, weak inquiry] (frame, _) throws(FrameError) in
                let answer = try Check.Answer(frame)
                if let inquiry { self?.end(inquiry, answer) }
            } onClose: { [weak self, weak inquiry] reason in
                if let inquiry { self?.end(inquiry, Self.trouble(reason.map { "authcheck: \($0)" } ?? "authcheck ended without an answer")) }
            }
            inquiry.peer = peer
            guard spawner.order(.check, theirs) else { return end(inquiry, Self.trouble("lspawn is not there to start authcheck")) }
            peer.send(question.encode())
            loop.after(seconds: Self.patienceSeconds) { [weak self, weak inquiry] in
                if let inquiry { self?.end(inquiry, Self.trouble("authcheck did not answer in time")) }
            }
        } catch {
            end(inquiry, Self.trouble("\(error)"))
        }
    }

    private func end(_ inquiry: Inquiry, _ answer: Check.Answer) {
        guard let body = inquiry.body else { return }
        inquiry.body = nil
        inquiries[ObjectIdentifier(inquiry)] = nil
        counts[inquiry.backend] = counts[inquiry.backend, default: 1] > 1 ? counts[inquiry.backend, default: 1] - 1 : nil
        inquiry.peer?.close()
        body(answer)
        loop.atEndOfTurn { [weak self] in self?.startNext() }
    }

    private static func trouble(_ text: String) -> Check.Answer { .trouble(Array(text.utf8)[...]) }
}
