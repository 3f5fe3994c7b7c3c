private import Boundaries
private import Bytes
internal import ControlFiles
internal import Frames
private import Glibc
internal import Posix

/// `run/identity`: lspawn asks who controls a local part, and gets the default instructions with the answer.
final class IdentityDoor {
    private let lookup: LocalPartLookup
    private let defaultDelivery: Watched<ArraySlice<UInt8>>
    private var peers: [ObjectIdentifier: PacketPeer] = [:]
    private let loop: EventLoop

    /// What users without a `.qmail` are delivered by when `control/defaultdelivery` is missing. qmail's own default is `./Mailbox`; a
    /// Maildir needs no locks.
    static let fallbackDelivery = Array("./Maildir/\n".utf8)
    /// Instructions must fit a packet beside the other fields.
    static let maxDeliveryBytes = 32 * 1024

    init(_ lookup: LocalPartLookup, on loop: EventLoop, _ control: ControlDirectory) throws {
        self.lookup = lookup
        self.loop = loop
        defaultDelivery = try Watched([control.file("defaultdelivery")]) {
            try IdentityDoor.loadDelivery(control)[...]
        } complain: {
            log("route: \($0); the old value stays")
        }
    }

    func accept(_ connection: consuming FileDescriptor) {
        let holder = Holder()
        do throws(SystemError) {
            let peer = try PacketPeer(consume connection, on: loop) { [weak self, weak holder] (frame, _) throws(FrameError) in
                let question = try Identity.Question(frame)
                self?.answer(question, holder)
            } onClose: { [weak self] reason in
                if let reason { log("route: identity: \(reason); connection dropped") }
                if let peer = holder.peer { self?.peers[ObjectIdentifier(peer)] = nil }
                holder.peer = nil
            }
            holder.peer = peer
            peers[ObjectIdentifier(peer)] = peer
        } catch {
            log("route: identity: \(error)")
        }
    }

    func refresh() { defaultDelivery.refreshed() }

    private func answer(_ question: Identity.Question, _ holder: Holder?) {
        lookup.find(question.localPart) { [defaultDelivery] outcome in
            let answer: Identity.Answer =
                switch outcome {
                case .success(let found): .user(token: question.token, found.user, defaultDelivery: defaultDelivery.refreshed())
                case .failure(let trouble): .nobody(token: question.token, trouble.report)
                }
            holder?.peer?.send(answer.encode())
        }
    }

    private static func loadDelivery(_ control: ControlDirectory) throws -> [UInt8] {
        guard let text = try givenDelivery() ?? control.bytes("defaultdelivery") else { return fallbackDelivery }
        guard text.count <= maxDeliveryBytes else {
            throw ControlFileError(file: control.file("defaultdelivery"), line: 0, problem: "is longer than \(maxDeliveryBytes) bytes")
        }
        return text
    }

    /// The argument of qmail-start, which goes before the control file.
    private static func givenDelivery() -> [UInt8]? {
        getenv("DEFAULTDELIVERY").map { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
    }

    /// The peer of callbacks that were made before it.
    private final class Holder { var peer: PacketPeer? }
}
