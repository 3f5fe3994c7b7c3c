package import Addresses
private import Bytes

/// How mail gets to a destination: which addresses are tried, and what a connection must have before mail, or a password, goes over it.
///
/// It is made of facts alone: the route, what DNS said, what is known of the exchangers. Every connection is made by one, and `martlet route` prints it.
package struct ConnectionPlan: Equatable, Sendable {
    /// An address to connect to.
    package struct Attempt: Hashable, Sendable {
        package var preference: UInt16
        package var address: IPAddress
        package var port: UInt16
        /// The exchanger or relay, for people; empty where only its address is known.
        package var host: [UInt8]
        package var security: TransportSecurity
        package var beginsWithTLS: Bool
        /// Whom the certificate must be of, in A-labels; nil: the address.
        package var certificateName: [UInt8]?
    }

    /// In the order that they were found in; see ``ordered(using:)``.
    package let attempts: [Attempt]
    package let login: Relay.Login?

    /// - Parameters:
    ///   - relay: the route's; nil where DNS decides.
    ///   - candidates: what ``ExchangerSearch`` found for it.
    package init(_ relay: Relay?, _ candidates: Candidates, _ knowledge: ExchangerKnowledge = ExchangerKnowledge()) {
        login = relay?.login
        attempts = candidates.all.map { candidate in
            Attempt(
                preference: candidate.preference, address: candidate.address, port: candidates.port, host: candidate.exchanger,
                security: relay?.security ?? knowledge.security(of: candidate.exchanger), beginsWithTLS: relay?.beginsWithTLS ?? false,
                certificateName: relay?.certificateName ?? Self.certificateName(candidate.exchanger))
        }
    }

    private static func certificateName(_ host: [UInt8]) -> [UInt8]? {
        let plain = host.last == ASCII.dot ? host.dropLast() : host
        guard !plain.isEmpty else { return nil }
        return (domainInALabels(plain) ?? Array(plain)).lowercasedASCII()
    }

    /// The attempts, one after the other until one connects: by preference; among equals in a random order that spreads the load (RFC 5321 §5.1), IPv4
    /// before IPv6, since a mail host's good name is mostly that of its IPv4 address.
    package func ordered(using random: inout some RandomNumberGenerator) -> [Attempt] {
        attempts.shuffled(using: &random).sorted { ($0.preference, $0.address.isV6 ? 1 : 0) < ($1.preference, $1.address.isV6 ? 1 : 0) }
    }
}

/// What is known of exchangers beside their addresses, to ask more of a connection than RFC 5321 does: here published policies come in.
package struct ExchangerKnowledge: Equatable, Sendable {
    private let securities: [[UInt8]: TransportSecurity]

    /// - Parameter securities: by the exchanger's name, in lower case.
    package init(_ securities: [[UInt8]: TransportSecurity] = [:]) { self.securities = securities }

    func security(of exchanger: [UInt8]) -> TransportSecurity { securities.isEmpty ? .may : securities[exchanger.lowercasedASCII()] ?? .may }
}
