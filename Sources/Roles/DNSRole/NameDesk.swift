private import Boundaries
private import ControlFiles
private import Frames
internal import Posix
private import Resolver

/// Takes questions from any number of peers and answers each when its answer is known.
final class NameDesk {
    private let loop: EventLoop
    private let resolver: Watched<Resolver>
    private var peers: [ObjectIdentifier: FramePeer] = [:]

    /// Questions of one peer under way; beyond, it is not read.
    private static let maxUnderWay = 4096

    init(on loop: EventLoop) throws {
        self.loop = loop
        let control = ControlDirectory()
        resolver = try Watched(
            Resolver.files.map { control.file($0) },
            load: { try Resolver(control, on: loop) },
            complain: { log("alert: dns keeps its name servers: \($0)") })
    }

    func welcome(_ connection: consuming FileDescriptor) {
        let visit = Visit()
        do {
            let peer = try FramePeer(
                connection, on: loop, maxLength: NameLookup.Question.maxLength,
                onFrame: { [weak self] (frame) throws(FrameError) in try self?.take(NameLookup.Question(frame), from: visit) },
                onClose: { [weak self] error in self?.leave(visit, error) })
            visit.peer = peer
            peers[ObjectIdentifier(visit)] = peer
        } catch {
            log("warning: dns: \(error)")
        }
    }

    /// One connection, as what answers that come late refer to.
    private final class Visit {
        weak var peer: FramePeer?
        var underWay = 0
    }

    private func leave(_ visit: Visit, _ error: FrameError?) {
        if let error { log("warning: dns drops a peer: \(error)") }
        peers[ObjectIdentifier(visit)] = nil
    }

    private func take(_ question: NameLookup.Question, from visit: Visit) {
        visit.underWay += 1
        if visit.underWay >= Self.maxUnderWay { visit.peer?.pause() }
        resolver.refreshed().lookUp(question.kind, question.name) { result in
            visit.underWay -= 1
            visit.peer?.send { NameLookup.Answer(token: question.token, result: result).encode(into: &$0) }
            visit.peer?.resume()
        }
    }
}
