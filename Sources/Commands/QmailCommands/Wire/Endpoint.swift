internal import Addresses
private import Bytes
private import Glibc
internal import Posix

/// One end of a TCP connection.
struct Endpoint {
    let address: IPAddress
    let port: UInt16

    /// Nil for what is no TCP connection.
    static func local(of socket: Int32) -> Endpoint? { named { getsockname(socket, $0, $1) } }
    static func remote(of socket: Int32) -> Endpoint? { named { getpeername(socket, $0, $1) } }

    private static func named(_ ask: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) -> Endpoint? {
        var storage = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask($0, &length) }
        }
        guard result == 0 else { return nil }
        let bytes = withUnsafeBytes(of: storage) { Array($0) }
        // The port stands at the same place for both families.
        let port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        switch Int32(storage.sin6_family) {
        case AF_INET: return IPAddress(bytes[4..<8]).map { Endpoint(address: $0, port: port) }
        case AF_INET6: return IPAddress(unmapped: bytes[8..<24]).map { Endpoint(address: $0, port: port) }
        default: return nil
        }
    }

    /// What DNS, or /etc/hosts, calls this address, in lower case; nil for no name, `softdnserror` when that cannot be said now.
    func hostName() -> String? {
        var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let size = socklen_t(name.count)
        let failure = withSocketAddress { getnameinfo($0, $1, &name, size, nil, 0, NI_NAMEREQD) }
        switch failure {
        case 0: return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0).lowercased }, as: UTF8.self)
        case EAI_AGAIN: return "softdnserror"
        default: return nil
        }
    }

    /// Opens a connection to here.
    /// - Parameter source: the address that it shall come from; nil leaves it to the system.
    func connect(from source: IPAddress? = nil, seconds: UInt64) throws(SystemError) -> FileDescriptor {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let made = FileDescriptor(owning: try check("socket") { socket(address.isV6 ? AF_INET6 : AF_INET, kind, 0) })
        let raw = made.raw
        if let source { try check("bind") { Endpoint(address: source, port: 0).withSocketAddress { bind(raw, $0, $1) } } }
        guard withSocketAddress({ Glibc.connect(raw, $0, $1) }) != 0 else { return made }
        guard errno == EINPROGRESS else { throw SystemError(call: "connect", subject: "", errno: errno) }
        var entry = pollfd(fd: raw, events: Int16(POLLOUT), revents: 0)
        let ready = try check("poll") { poll(&entry, 1, Int32(clamping: seconds * 1000)) }
        var failure = ETIMEDOUT
        var length = socklen_t(MemoryLayout<Int32>.size)
        if ready > 0 { try check("getsockopt") { getsockopt(raw, SOL_SOCKET, SO_ERROR, &failure, &length) } }
        guard failure == 0 else { throw SystemError(call: "connect", subject: "", errno: failure) }
        return made
    }

    private func withSocketAddress(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        if address.isV6 {
            var specific = sockaddr_in6()
            specific.sin6_family = sa_family_t(AF_INET6)
            specific.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &specific.sin6_addr) { $0.copyBytes(from: address.bytes) }
            return Self.withGeneric(&specific, body)
        }
        var specific = sockaddr_in()
        specific.sin_family = sa_family_t(AF_INET)
        specific.sin_port = port.bigEndian
        withUnsafeMutableBytes(of: &specific.sin_addr) { $0.copyBytes(from: address.bytes) }
        return Self.withGeneric(&specific, body)
    }

    private static func withGeneric<Specific>(_ address: inout Specific, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<Specific>.size)) }
        }
    }
}
