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
    private let badSenders: AddressPatterns
    let badHelos: AddressPatterns
    let badRecipients: AddressPatterns
    /// Nil: whoever is in rcpthosts' domains.
    let goodRecipients: AddressPatterns?
    package let rcpthosts: Rcpthosts
    /// Ask route about each recipient that is let in. Stock qmail-smtpd does not.
    package let checksRecipients: Bool

    /// - Parameters:
    ///   - localIPHost: replaces a domain `[d.d.d.d]` that is one of `ownAddresses`; nil switches it off.
    ///   - goodRcptTo: nil when there is no such file.
    package init(
        greeting: [UInt8], databytes: UInt64 = 0, localIPHost: [UInt8]? = nil, ownAddresses: Set<IPAddress> = [],
        badMailFrom: [[UInt8]] = [], badHelo: [[UInt8]] = [], badRcptTo: [[UInt8]] = [], goodRcptTo: [[UInt8]]? = nil,
        rcpthosts: Rcpthosts = Rcpthosts(nil), checksRecipients: Bool = false
    ) {
        self.greeting = greeting
        self.databytes = databytes
        self.localIPHost = localIPHost
        self.ownAddresses = ownAddresses
        badSenders = AddressPatterns(badMailFrom)
        badHelos = AddressPatterns(badHelo)
        badRecipients = AddressPatterns(badRcptTo)
        goodRecipients = goodRcptTo.map(AddressPatterns.init)
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

    /// spec-qmail §13.3. The null sender cannot be listed.
    func isBad(_ sender: Address) -> Bool { !sender.isNull && badSenders.match(sender.bytes) }
}
