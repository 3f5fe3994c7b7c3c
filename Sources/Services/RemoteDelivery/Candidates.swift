package import Addresses

/// Where a host's mail may be delivered: the addresses of its exchangers.
package struct Candidates: Equatable, Sendable {
    package struct Candidate: Hashable, Sendable {
        package var preference: UInt16
        package var address: IPAddress
        package init(preference: UInt16, address: IPAddress) {
            self.preference = preference
            self.address = address
        }
    }

    package let all: [Candidate]
    package let port: UInt16

    package init(_ all: [Candidate], port: UInt16) {
        self.all = all
        self.port = port
    }

    /// The order of attempts: by preference; among equals in a random order that spreads the load (RFC 5321 §5.1), IPv4 before IPv6, since a mail
    /// host's good name is mostly that of its IPv4 address.
    package func ordered(using random: inout some RandomNumberGenerator) -> [IPAddress] {
        all.shuffled(using: &random)
            .sorted { ($0.preference, $0.address.isV6 ? 1 : 0) < ($1.preference, $1.address.isV6 ? 1 : 0) }
            .map(\.address)
    }
}
