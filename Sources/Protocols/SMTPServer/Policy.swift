package import Addresses
private import Bytes
package import Reception

/// What the control files say about mail from SMTP (spec-qmail §5.2): the same for all connections until a file changes.
package final class Policy: Sendable {
    /// `control/smtpgreeting`, else `me`.
    package let greeting: [UInt8]
    /// `control/databytes`; 0 is no limit.
    package let databytes: UInt64
    private let localIPHost: [UInt8]?
    private let ownAddresses: Set<IPAddress>
    private let badSenders: Set<[UInt8]>
    package let rcpthosts: Rcpthosts
    /// Ask route about each recipient that is let in. Stock qmail-smtpd does not.
    package let checksRecipients: Bool

    /// - Parameters:
    ///   - localIPHost: replaces a domain `[d.d.d.d]` that is one of `ownAddresses`; nil switches it off.
    ///   - badMailFrom: addresses and `@domain`.
    package init(
        greeting: [UInt8], databytes: UInt64 = 0, localIPHost: [UInt8]? = nil, ownAddresses: Set<IPAddress> = [], badMailFrom: [[UInt8]] = [],
        rcpthosts: Rcpthosts = Rcpthosts(nil), checksRecipients: Bool = false
    ) {
        self.greeting = greeting
        self.databytes = databytes
        self.localIPHost = localIPHost
        self.ownAddresses = ownAddresses
        badSenders = Set(badMailFrom.map { $0.lowercasedASCII() })
        self.rcpthosts = rcpthosts
        self.checksRecipients = checksRecipients
    }

    /// `user@[d.d.d.d]` with an address of this host becomes `user@localiphost`.
    func withLocalHost(_ address: [UInt8]) -> [UInt8] {
        guard let localIPHost, let at = address.lastIndex(of: ASCII.at) else { return address }
        let domain = address[(at + 1)...]
        guard domain.first == ASCII.leftBracket, domain.last == ASCII.rightBracket, let literal = IPAddress(dotted: domain.dropFirst().dropLast()),
            ownAddresses.contains(literal)
        else { return address }
        return address[...at] + localIPHost
    }

    /// spec-qmail §13.3: the whole address, or `@domain`. The null sender cannot be listed.
    func isBad(_ sender: Address) -> Bool {
        guard !badSenders.isEmpty, !sender.isNull else { return false }
        let folded = sender.bytes.lowercasedASCII()
        if badSenders.contains(folded) { return true }
        return folded.lastIndex(of: ASCII.at).map { badSenders.contains(Array(folded[$0...])) } ?? false
    }
}
