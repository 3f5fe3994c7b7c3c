internal import Addresses
private import Posix

/// The addresses of this machine's interfaces that are up (qmail's ipme), looked at again now and then.
final class OwnAddresses {
    /// Seconds.
    private static let freshFor: UInt64 = 60
    private var addresses: Set<IPAddress> = []
    private var until: UInt64 = 0

    func current(now: UInt64) -> Set<IPAddress> {
        if now >= until {
            // Trouble of the moment leaves the old ones.
            if let found = try? interfaceAddresses() { addresses = Set(found.compactMap { IPAddress($0) }) }
            // None at all is no answer: without them this host would be a host like any other.
            until = addresses.isEmpty ? now : now + Self.freshFor
        }
        return addresses
    }
}
