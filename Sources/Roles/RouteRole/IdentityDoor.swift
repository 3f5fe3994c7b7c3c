private import Addresses
private import Boundaries
private import Bytes
internal import ControlFiles
internal import Frames
private import Glibc
internal import Posix

/// `run/identity`: lspawn asks who controls a local part, and gets with the answer what a worker is to know of the control files.
final class IdentityDoor {
    private let lookup: LocalPartLookup
    private let accounts: AccountLookup
    private let settings: Watched<DeliverySettings>
    private var peers: [ObjectIdentifier: PacketPeer] = [:]
    /// Who connected last: there is one lspawn.
    private weak var latest: PacketPeer?
    private let loop: EventLoop
    /// Called with the answers to ``probe(_:)``.
    var onVerdict: (UInt32, Route.Verdict) -> Void = { _, _ in }

    /// What users without a `.qmail` are delivered by when `control/defaultdelivery` is missing. qmail's own default is `./Mailbox`; a
    /// Maildir needs no locks.
    static let fallbackDelivery = Array("./Maildir/\n".utf8)
    /// Instructions must fit a packet beside the other fields.
    static let maxDeliveryBytes = 32 * 1024

    init(_ lookup: LocalPartLookup, _ accounts: AccountLookup, on loop: EventLoop, _ control: ControlDirectory) throws {
        self.lookup = lookup
        self.accounts = accounts
        self.loop = loop
        settings = try Watched(["defaultdelivery", "timeoutlocal"].map(control.file)) {
            // A number beyond what a frame holds is as good as none.
            let seconds = UInt32(clamping: try control.integer("timeoutlocal") ?? 0)
            return DeliverySettings(defaultDelivery: try IdentityDoor.loadDelivery(control)[...], programSeconds: seconds)
        } complain: {
            log("route: \($0); the old value stays")
        }
    }

    func accept(_ connection: consuming FileDescriptor) {
        let holder = Holder()
        do throws(SystemError) {
            let peer = try PacketPeer(consume connection, on: loop) { [weak self, weak holder] (frame, _) throws(FrameError) in
                switch try Identity.Request(frame) {
                case .question(let token, let localPart, let domain): self?.answer(localPart, domain, token, holder)
                case .verdict(let token, let verdict): self?.onVerdict(token, verdict)
                }
            } onClose: { [weak self] reason in
                if let reason { log("route: identity: \(reason); connection dropped") }
                if let peer = holder.peer { self?.peers[ObjectIdentifier(peer)] = nil }
                holder.peer = nil
            }
            holder.peer = peer
            peers[ObjectIdentifier(peer)] = peer
            latest = peer
        } catch {
            log("route: identity: \(error)")
        }
    }

    func refresh() { settings.refreshed() }

    /// - Returns: false when lspawn is not there, or has enough to read.
    func probe(_ probe: Identity.Probe) -> Bool {
        guard let latest, !latest.isBlocked else { return false }
        latest.send(probe.encode())
        return true
    }

    private func answer(_ localPart: ArraySlice<UInt8>, _ domain: ArraySlice<UInt8>, _ token: UInt32, _ holder: Holder?) {
        // What is no address comes from no honest queue; the users of the system have it.
        switch Address(localPart + [ASCII.at] + domain).map(accounts.find) ?? .systemUser {
        case .user(let user, let instructions, let quota, _):
            let settings = DeliverySettings(defaultDelivery: instructions[...], programSeconds: 0, quota: quota[...])
            holder?.peer?.send(Identity.Answer.user(token: token, user, settings).encode())
        case .nobody:
            let report = DeliveryReport(.failed, "Sorry, no mailbox here by that name. (#5.1.1)\n")
            holder?.peer?.send(Identity.Answer.nobody(token: token, report).encode())
        case .trouble:
            let report = DeliveryReport(.deferred, "Trouble reading users/accounts.cdb in qmail-lspawn. (#4.3.0)\n")
            holder?.peer?.send(Identity.Answer.nobody(token: token, report).encode())
        case .systemUser: answerBySystem(localPart, token, holder)
        }
    }

    private func answerBySystem(_ localPart: ArraySlice<UInt8>, _ token: UInt32, _ holder: Holder?) {
        lookup.find(localPart) { [settings] outcome in
            let answer: Identity.Answer =
                switch outcome {
                case .success(let found): .user(token: token, found.user, settings.refreshed())
                case .failure(let trouble): .nobody(token: token, trouble.report)
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
