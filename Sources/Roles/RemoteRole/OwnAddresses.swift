internal import Addresses
private import Glibc

/// The addresses of this machine's interfaces that are up (qmail's ipme), looked at again now and then.
final class OwnAddresses {
    /// Seconds.
    private static let freshFor: UInt64 = 60
    private var addresses: Set<IPAddress> = []
    private var until: UInt64 = 0

    func current(now: UInt64) -> Set<IPAddress> {
        if now >= until {
            addresses = Self.list()
            until = now + Self.freshFor
        }
        return addresses
    }

    private static func list() -> Set<IPAddress> {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var found: Set<IPAddress> = []
        var next = first
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard entry.ifa_flags & UInt32(IFF_UP) != 0, let raw = entry.ifa_addr, let address = address(of: raw) else { continue }
            found.insert(address)
        }
        return found
    }

    private static func address(of raw: UnsafeMutablePointer<sockaddr>) -> IPAddress? {
        switch Int32(raw.pointee.sa_family) {
        case AF_INET:
            raw.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
                withUnsafeBytes(of: pointer.pointee.sin_addr) { IPAddress(Array($0)) }
            }
        case AF_INET6:
            raw.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
                withUnsafeBytes(of: pointer.pointee.sin6_addr) { IPAddress(Array($0)) }
            }
        default: nil
        }
    }
}
