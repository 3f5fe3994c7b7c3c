private import Boundaries
private import CPosix
private import ControlFiles
private import Frames
private import Glibc
private import Posix
package import RoleContext

/// Role keys: holds the private keys of `tls/` and signs TLS handshakes with them, for those who may enter `run/keys`. Nothing else of Martlet reads a
/// key, and nothing leaves here but signatures.
package enum KeysRole {
    /// A peer that leaves so many answers unread gets no more, in bytes.
    private static let maxUnsent = 1 << 16

    /// - Returns: 0 after SIGTERM, 111 when it cannot start.
    package static func run(_ context: RoleContext) -> Int32 {
        // No core file, and nobody but root looks into the memory.
        var none = rlimit()
        guard martlet_hide_memory() == 0, setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) == 0 else {
            log("keys: fatal: \(SystemError(call: "prctl", subject: "", errno: errno))")
            return 111
        }
        do throws(SystemError) {
            try serve(context)
            return 0
        } catch {
            log("keys: fatal: \(error)")
            return 111
        }
    }

    private static func serve(_ context: RoleContext) throws(SystemError) {
        let loop = try EventLoop()
        let cabinet = KeyCabinet()
        try loop.onSignals([SIGTERM, SIGINT, SIGHUP]) { signal in
            if signal == SIGHUP { cabinet.forgetStates() } else { loop.stop() }
        }
        if !cabinet.hasUsableKey() { SelfSigned.make(for: try ControlDirectory().line("me") ?? []) }
        guard let socket = context.socket("keys") else { throw SystemError(call: "socket", subject: "keys", errno: ENOTCONN) }
        var peers: [ObjectIdentifier: FramePeer] = [:]
        let listener = try Listener(FileDescriptor(owning: socket), on: loop) { connection in
            let holder = Holder()
            do throws(SystemError) {
                let peer = try FramePeer(connection, on: loop, maxLength: Signing.Request.maxLength) { [weak holder] (frame) throws(FrameError) in
                    holder?.peer?.send(cabinet.answer(try Signing.Request(frame)).encode)
                } onClose: { reason in
                    if let reason { log("keys: \(reason); connection dropped") }
                    if let peer = holder.peer { peers[ObjectIdentifier(peer)] = nil }
                    holder.peer = nil
                }
                peer.unsentLimit = maxUnsent
                holder.peer = peer
                peers[ObjectIdentifier(peer)] = peer
            } catch {
                log("keys: \(error)")
            }
        }
        loop.run()
        listener.close()
    }

    /// The peer of callbacks that were made before it.
    private final class Holder { var peer: FramePeer? }
}
