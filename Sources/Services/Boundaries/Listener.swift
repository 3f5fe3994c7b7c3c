private import CPosix
private import Glibc
package import Posix

/// Accepts connections on a loop from a socket that is listening already (the supervisor bound it, or ``Boundary/listen()``).
package final class Listener {
    private let descriptor: FileDescriptor
    private let loop: EventLoop
    private let onConnection: (consuming FileDescriptor) -> Void

    package init(
        _ descriptor: consuming FileDescriptor, on loop: EventLoop, _ onConnection: @escaping (consuming FileDescriptor) -> Void
    ) throws(SystemError) {
        self.descriptor = descriptor
        self.loop = loop
        self.onConnection = onConnection
        _ = martlet_set_nonblocking(self.descriptor.raw)
        try loop.add(self.descriptor.raw, .read) { [unowned self] _ in acceptAll() }
    }

    private func acceptAll() {
        while true {
            let connection = martlet_accept(descriptor.raw)
            if connection >= 0 {
                onConnection(FileDescriptor(owning: connection))
                continue
            }
            switch errno {
            case EINTR, ECONNABORTED: continue
            case EMFILE, ENFILE, ENOMEM, ENOBUFS:
                // Waiting connections keep the socket readable: pause instead of spinning.
                loop.change(descriptor.raw, to: [])
                loop.after(seconds: 0.2) { [weak self] in
                    guard let self else { return }
                    loop.change(self.descriptor.raw, to: .read)
                }
                return
            default: return
            }
        }
    }

    package func close() { loop.remove(descriptor.raw) }

    deinit { loop.remove(descriptor.raw) }
}

/// Who is at the other end, by the kernel's word.
package struct PeerIdentity: Equatable, Sendable {
    package var pid: Int32
    package var uid: UInt32
    package var gid: UInt32

    package init?(of descriptor: borrowing FileDescriptor) {
        var pid: pid_t = 0
        var uid: uid_t = 0
        var gid: gid_t = 0
        guard martlet_peer(descriptor.raw, &pid, &uid, &gid) == 0 else { return nil }
        self.pid = pid
        self.uid = uid
        self.gid = gid
    }
}
