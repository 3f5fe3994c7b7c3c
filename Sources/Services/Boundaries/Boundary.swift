package import Glibc
package import Posix

/// The sockets between Martlet's processes, below `run/` of the qmail home. Each stands in a directory of its own, which only the permitted peer's group may enter.
///
/// Paths are relative: every process of Martlet changes to the qmail home first, so that a long home never exceeds what a socket address can hold.
///
/// Module `Boundaries` carries frames and descriptors and must not know what they say. What holds: a peer that breaks the protocol loses its
/// connection, and nothing else happens.
package enum Boundary: String, CaseIterable, Sendable {
    case inject
    case deliverLocal = "deliver-local"
    case deliverRemote = "deliver-remote"
    case identity
    case route
    case dns
    case admin
    case keys
    case auth
    case mailbox
    case opening
    case authAdmin = "auth-admin"

    package var path: String { "run/\(rawValue)/socket" }

    /// Packets where descriptors travel or one small C program is a side, a stream elsewhere.
    package var isPackets: Bool {
        switch self {
        case .deliverLocal, .deliverRemote, .identity, .mailbox, .opening: true
        case .inject, .route, .dns, .admin, .keys, .auth, .authAdmin: false
        }
    }

    private var socketType: Int32 {
        Int32((isPackets ? SOCK_SEQPACKET : SOCK_STREAM).rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    }

    /// Connections that may wait while the role is busy or being restarted; beyond it a non-blocking connect is refused.
    private static let backlog: Int32 = 1024

    /// Binds and listens, replacing a socket left behind. The directory must exist. Everybody who may enter the directory may connect.
    package func listen() throws(SystemError) -> FileDescriptor {
        let descriptor = FileDescriptor(owning: try check("socket", path) { socket(AF_UNIX, socketType, 0) })
        unlink(path)
        try withSocketAddress(path) { (address, length) throws(SystemError) in
            try check("bind", path) { bind(descriptor.raw, address, length) }
        }
        try check("chmod", path) { chmod(path, 0o666) }
        try check("listen", path) { Glibc.listen(descriptor.raw, Self.backlog) }
        return descriptor
    }

    /// Connects, non-blocking from then on.
    package func connect() throws(SystemError) -> FileDescriptor {
        let descriptor = FileDescriptor(owning: try check("socket", path) { socket(AF_UNIX, socketType, 0) })
        try withSocketAddress(path) { (address, length) throws(SystemError) in
            try check("connect", path) { Glibc.connect(descriptor.raw, address, length) }
        }
        return descriptor
    }
}

/// A UNIX socket address for `path`.
@discardableResult
package func withSocketAddress<Result>(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws(SystemError) -> Result
) throws(SystemError) -> Result {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
        throw SystemError(call: "socket path", subject: path, errno: ENAMETOOLONG)
    }
    Swift.withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let pointer = UnsafeMutablePointer<sockaddr_un>.allocate(capacity: 1)
    pointer.initialize(to: address)
    defer { pointer.deallocate() }
    return try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { (rebound) throws(SystemError) in
        try body(rebound, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
}
