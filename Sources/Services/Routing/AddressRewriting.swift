package import Addresses
private import Bytes

/// Where a recipient goes, as qmail-send decides it at acceptance (spec-qmail §6.1): `envnoathost`, `percenthack`, `locals`,
/// `virtualdomains`, in this order; then the domains of accounts.
///
/// A value made of control files; each question costs a few hash look-ups, however many domains there are.
/// Domains are compared without case, the address that comes out keeps its own.
///
/// Module `Routing` says whose an address is and must not see mail. What holds: trouble that may pass is never taken for "nobody"
/// (``LookupTrouble``).
package struct AddressRewriting: Sendable {
    private let envNoAtHost: [UInt8]
    private let percentHack: Set<[UInt8]>
    private let locals: Set<[UInt8]>
    private let virtualDomains: [[UInt8]: [UInt8]]
    /// A-labels in lower case. What they decide comes last: control files go before.
    package var accountDomains: Set<[UInt8]>

    /// - Parameters:
    ///   - virtualDomains: keys in lower case, `user@domain`, `domain`, `.suffix` or empty, with what is prepended; an empty value is an exception.
    package init(
        envNoAtHost: [UInt8], percentHack: some Sequence<[UInt8]> = [], locals: some Sequence<[UInt8]>, virtualDomains: [[UInt8]: [UInt8]] = [:],
        accountDomains: Set<[UInt8]> = []
    ) {
        self.envNoAtHost = envNoAtHost
        self.percentHack = Set(percentHack.map { $0.lowercasedASCII() })
        self.locals = Set(locals.map { $0.lowercasedASCII() })
        self.virtualDomains = virtualDomains
        self.accountDomains = accountDomains
    }

    /// The channel of a recipient, and the recipient as it is delivered to: with its host, percent signs resolved, a virtual domain's
    /// prepend in front, of which `prepended` bytes. Nil when that is more than an address may have: no mail can be sent to it.
    package func channel(of recipient: Address) -> (channel: Channel, recipient: Address, prepended: Int)? {
        let (bytes, at) = resolvingPercents(withHost(recipient))
        let folded = bytes.lowercasedASCII()
        if locals.contains(Array(folded[(at + 1)...])) { return Address(bytes).map { (.local, $0, 0) } }
        guard let prepend = virtualDomain(of: folded, at)?.prepend else {
            return Address(bytes).map { (isOfAccounts(folded[(at + 1)...]) ? .local : .remote, $0, 0) }
        }
        // An empty value is the exception that makes a part of a virtual domain remote.
        if prepend.isEmpty { return Address(bytes).map { (.remote, $0, 0) } }
        return Address(prepend + [ASCII.hyphen] + bytes).map { (.local, $0, prepend.count + 1) }
    }

    /// What the sender is told of a recipient without a ``channel(of:)``.
    package static let tooLongText = "Sorry, this address becomes too long to be delivered to. (#5.1.3)\n"

    /// The line that decides ``channel(of:)``, for people.
    package enum Rule: Equatable, Sendable {
        case locals
        /// `key` of `virtualdomains`; an empty prepend makes the recipient remote.
        case virtualDomain(key: [UInt8], prepend: [UInt8])
        /// The domain has accounts of our own.
        case accounts
        /// None does: remote.
        case none
    }

    package func rule(for recipient: Address) -> Rule {
        let (bytes, at) = resolvingPercents(withHost(recipient))
        let folded = bytes.lowercasedASCII()
        if locals.contains(Array(folded[(at + 1)...])) { return .locals }
        if let (key, prepend) = virtualDomain(of: folded, at) { return .virtualDomain(key: key, prepend: prepend) }
        return isOfAccounts(folded[(at + 1)...]) ? .accounts : .none
    }

    /// A rewritten recipient as people know it, for bounces: without the prepend of its virtual domain (spec-qmail §8.3; `user@domain`
    /// keys are not looked at).
    package func unprepended(_ recipient: Address) -> Address {
        guard let domain = recipient.domain, let prepend = virtualDomain(domain.lowercasedASCII()[...])?.prepend, !prepend.isEmpty,
            recipient.bytes.starts(with: prepend + [ASCII.hyphen])
        else { return recipient }
        return Address(recipient.bytes.dropFirst(prepend.count + 1)) ?? recipient
    }

    /// Whether neither `locals` nor `virtualdomains` say whose a rewritten recipient is.
    package func leavesToAccounts(_ recipient: Address) -> Bool {
        guard let domain = recipient.domain?.lowercasedASCII() else { return false }
        return !locals.contains(domain) && virtualDomain(domain[...]) == nil && !isPrepended(recipient, domain)
    }

    /// Whether it is what an entry `user@domain:prepend` makes of `user@domain`.
    private func isPrepended(_ recipient: Address, _ domain: [UInt8]) -> Bool {
        let local = recipient.localPart
        return local.indices.contains { index in
            guard local[index] == ASCII.hyphen, let prepend = virtualDomains[local[(index + 1)...].lowercasedASCII() + [ASCII.at] + domain] else {
                return false
            }
            return !prepend.isEmpty && local[..<index].elementsEqual(prepend)
        }
    }

    private func isOfAccounts(_ domain: ArraySlice<UInt8>) -> Bool {
        !accountDomains.isEmpty && domainInALabels(domain).map(accountDomains.contains) == true
    }

    private func withHost(_ recipient: Address) -> [UInt8] {
        recipient.domain == nil ? recipient.bytes + [ASCII.at] + envNoAtHost : recipient.bytes
    }

    /// - Returns: the address and the place of its last `@`.
    private func resolvingPercents(_ address: [UInt8]) -> (bytes: [UInt8], at: Int) {
        var bytes = address
        var at = bytes.lastIndex(of: ASCII.at) ?? bytes.startIndex
        while percentHack.contains(bytes[(at + 1)...].lowercasedASCII()), let percent = bytes[..<at].lastIndex(of: ASCII.percent) {
            bytes.removeSubrange(at...)
            bytes[percent] = ASCII.at
            at = percent
        }
        return (bytes, bytes.lastIndex(of: ASCII.at) ?? at)
    }

    private func virtualDomain(of address: [UInt8], _ at: Int) -> (key: [UInt8], prepend: [UInt8])? {
        virtualDomains[address].map { (address, $0) } ?? virtualDomain(address[(at + 1)...])
    }

    /// The domain itself, its suffixes that begin with a dot, longest first, then the empty key.
    private func virtualDomain(_ domain: ArraySlice<UInt8>) -> (key: [UInt8], prepend: [UInt8])? {
        guard !virtualDomains.isEmpty else { return nil }
        if let found = virtualDomains[Array(domain)] { return (Array(domain), found) }
        for index in domain.indices where domain[index] == ASCII.dot && index > domain.startIndex {
            if let found = virtualDomains[Array(domain[index...])] { return (Array(domain[index...]), found) }
        }
        return virtualDomains[[]].map { ([], $0) }
    }
}
