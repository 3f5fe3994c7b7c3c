package import Addresses
private import Bytes

/// The domains that mail is taken for: `control/rcpthosts` and `control/morercpthosts.cdb` (spec-qmail §13.3).
package struct Rcpthosts: Sendable {
    /// What `control/morercpthosts.cdb` says of a key.
    package enum Lookup: Sendable { case found, absent, unreadable }

    private let domains: Set<[UInt8]>?
    private let more: @Sendable ([UInt8]) -> Lookup

    /// - Parameters:
    ///   - domains: nil takes mail for every domain, and `more` is not asked then.
    ///   - more: is asked with lower-case keys.
    package init(_ domains: [[UInt8]]?, more: @escaping @Sendable ([UInt8]) -> Lookup = { _ in .absent }) {
        self.domains = domains.map { Set($0.map { $0.lowercasedASCII() }) }
        self.more = more
    }

    /// False: every domain is accepted, as qmail does without `control/rcpthosts`.
    package var isThere: Bool { domains != nil }

    /// The domain, or a part of it that begins at a dot; a recipient without domain always.
    package func allows(_ recipient: Address) -> Lookup {
        guard let domains, let domain = recipient.domain?.lowercasedASCII() else { return .found }
        // The domains of accounts are known by their A-labels.
        if !recipient.isASCII, let labels = domainInALabels(domain), domains.contains(labels) { return .found }
        let keys = [domain] + domain.indices.filter { domain[$0] == ASCII.dot && $0 > 0 }.map { Array(domain[$0...]) }
        if keys.contains(where: domains.contains) { return .found }
        for key in keys {
            let answer = more(key)
            if answer != .absent { return answer }
        }
        return .absent
    }
}
