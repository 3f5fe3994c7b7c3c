internal import Addresses
private import Glibc

/// The addresses of this host's interfaces that are up, and 0.0.0.0 (spec-qmail §13.3).
func ownAddresses() -> Set<IPAddress> {
    var result = Set([IPAddress([0, 0, 0, 0])].compactMap(\.self))
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else { return result }
    defer { freeifaddrs(first) }
    var next = first
    while let interface = next?.pointee {
        next = interface.ifa_next
        guard interface.ifa_flags & UInt32(IFF_UP) != 0, let address = interface.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET)
        else { continue }
        let bytes = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
            withUnsafeBytes(of: pointer.pointee.sin_addr) { Array($0) }
        }
        if let own = IPAddress(bytes) { result.insert(own) }
    }
    return result
}
