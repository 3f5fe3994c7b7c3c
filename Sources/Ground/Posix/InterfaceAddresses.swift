private import Glibc

/// The addresses of this machine's interfaces that are up, each of 4 or 16 bytes in network order.
package func interfaceAddresses() throws(SystemError) -> [[UInt8]] {
    var first: UnsafeMutablePointer<ifaddrs>?
    try check("getifaddrs") { getifaddrs(&first) }
    defer { freeifaddrs(first) }
    var found: [[UInt8]] = []
    var next = first
    while let entry = next?.pointee {
        next = entry.ifa_next
        guard entry.ifa_flags & UInt32(IFF_UP) != 0, let raw = entry.ifa_addr, let bytes = addressBytes(raw) else { continue }
        found.append(bytes)
    }
    return found
}

/// Nil for what is neither IPv4 nor IPv6.
private func addressBytes(_ raw: UnsafeMutablePointer<sockaddr>) -> [UInt8]? {
    switch Int32(raw.pointee.sa_family) {
    case AF_INET:
        raw.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in withUnsafeBytes(of: pointer.pointee.sin_addr) { Array($0) } }
    case AF_INET6:
        raw.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in withUnsafeBytes(of: pointer.pointee.sin6_addr) { Array($0) } }
    default: nil
    }
}
