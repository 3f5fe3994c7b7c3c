private import Boundaries
private import Glibc
package import Posix
package import RoleContext

/// A listening socket for clients, bound by the supervisor and shared by all workers of its role: it outlives each of them, so a client that connects
/// while one is being restarted waits instead of being refused.
package struct DoorSocket: Sendable {
    package let door: Door
    /// The line of the door's file.
    package let name: String
    package let descriptor: Int32
    /// As ``name``, with the port that the kernel chose when the line says 0.
    package let shown: String

    /// Connections that may wait to be accepted; the kernel cuts it to its own limit.
    private static let backlog: Int32 = 4096

    package init(_ door: Door, _ name: String, _ address: ListenAddress) throws(SystemError) {
        let socket = try Self.bound(name, address)
        try check("listen", name) { listen(socket.raw, Self.backlog) }
        self.door = door
        self.name = name
        shown = Self.shown(name, address, socket.raw)
        descriptor = socket.release()
    }

    private static func bound(_ name: String, _ address: ListenAddress) throws(SystemError) -> FileDescriptor {
        switch address {
        case .ip4(let bytes, let port):
            var socketAddress = sockaddr_in()
            socketAddress.sin_family = sa_family_t(AF_INET)
            socketAddress.sin_port = port.bigEndian
            withUnsafeMutableBytes(of: &socketAddress.sin_addr) { $0.copyBytes(from: bytes) }
            return try bound(name, AF_INET, &socketAddress)
        case .ip6(let bytes, let port):
            var socketAddress = sockaddr_in6()
            socketAddress.sin6_family = sa_family_t(AF_INET6)
            socketAddress.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &socketAddress.sin6_addr) { $0.copyBytes(from: bytes) }
            return try bound(name, AF_INET6, &socketAddress)
        case .unix(let path): return try bound(path)
        }
    }

    private static func bound<Address>(_ name: String, _ family: Int32, _ address: inout Address) throws(SystemError) -> FileDescriptor {
        let descriptor = FileDescriptor(owning: try check("socket", name) { socket(family, tcp, 0) })
        try setOption(descriptor, SOL_SOCKET, SO_REUSEADDR)
        // Otherwise [::]:25 would take 0.0.0.0:25 too, and clients of IPv4 would come with mapped addresses.
        if family == AF_INET6 { try setOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY) }
        let size = socklen_t(MemoryLayout<Address>.size)
        try withUnsafePointer(to: &address) { (pointer) throws(SystemError) in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { (generic) throws(SystemError) in
                _ = try check("bind", name) { bind(descriptor.raw, generic, size) }
            }
        }
        return descriptor
    }

    private static var tcp: Int32 { Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue) }

    private static func setOption(_ descriptor: borrowing FileDescriptor, _ level: Int32, _ option: Int32) throws(SystemError) {
        let raw = descriptor.raw
        var one: Int32 = 1
        try check("setsockopt") { setsockopt(raw, level, option, &one, socklen_t(MemoryLayout<Int32>.size)) }
    }

    /// Replaces a socket that nobody listens on any more. Whoever may reach the path may connect.
    ///
    /// The mode is set before there is a path: a `chmod` of the path would follow what somebody put in its place meanwhile. Linux gives the path the
    /// mode of the descriptor, without the bits of the umask, which no other thread of the supervisor can see changed.
    private static func bound(_ path: String) throws(SystemError) -> FileDescriptor {
        let descriptor = FileDescriptor(owning: try check("socket", path) { socket(AF_UNIX, tcp, 0) })
        try check("chmod", path) { fchmod(descriptor.raw, 0o666) }
        let mask = umask(0)
        defer { umask(mask) }
        try withSocketAddress(path) { (address, length) throws(SystemError) in
            if bind(descriptor.raw, address, length) == 0 { return }
            guard errno == EADDRINUSE, isDeserted(path, address, length) else {
                throw SystemError(call: "bind", subject: path, errno: errno == 0 ? EADDRINUSE : errno)
            }
            unlink(path)
            try check("bind", path) { bind(descriptor.raw, address, length) }
        }
        return descriptor
    }

    private static func isDeserted(_ path: String, _ address: UnsafePointer<sockaddr>, _ length: socklen_t) -> Bool {
        var info = stat()
        guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFSOCK else { return false }
        let probe = FileDescriptor(owning: socket(AF_UNIX, tcp, 0))
        defer { errno = EADDRINUSE }
        return connect(probe.raw, address, length) != 0 && errno == ECONNREFUSED
    }

    private static func shown(_ name: String, _ address: ListenAddress, _ descriptor: Int32) -> String {
        switch address {
        case .ip4(_, port: 0), .ip6(_, port: 0):
            var storage = sockaddr_in6()
            var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
            // The port stands at the same place for both families.
            _ = withUnsafeMutablePointer(to: &storage) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
            }
            return "\(name.dropLast())\(UInt16(bigEndian: storage.sin6_port))"
        default: return name
        }
    }
}
