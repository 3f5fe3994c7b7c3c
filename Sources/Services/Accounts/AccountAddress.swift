private import Addresses
private import Bytes

/// The name of a domain of ours: A-labels in lower case (RFC 5890 §2.3.2.1).
///
/// Module `Accounts` knows domains, mailboxes, aliases and logins of ours as values, and reads the two databases that `martlet domain|user|alias` writes:
/// who gets mail (``AccountDirectory``, no secrets) and who may log in (``LoginRecord``). It must not know how they are written, nor what mail is. What holds:
/// no name here leads out of the folder of its mailbox, and trouble with a file is never taken for "nobody".
package struct AccountDomain: Hashable, Sendable {
    package let bytes: [UInt8]

    /// RFC 1035 §2.3.4, without the root's dot.
    package static let maxBytes = 253
    private static let maxLabelBytes = 63

    /// - Returns: nil for what is no name of a host (RFC 1123 §2.1): letters, digits and hyphens between dots, or letters of other scripts.
    package init?(_ name: some Collection<UInt8>) {
        guard let labels = domainInALabels(name)?.lowercasedASCII(), labels.count <= Self.maxBytes,
            labels.split(separator: ASCII.dot, omittingEmptySubsequences: false).allSatisfy(Self.isLabel)
        else { return nil }
        bytes = labels
    }

    private static func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
        !label.isEmpty && label.count <= maxLabelBytes && label.first != ASCII.hyphen && label.last != ASCII.hyphen
            && label.allSatisfy { $0.isLetter || $0.isDigit || $0 == ASCII.hyphen }
    }
}

/// The address of a mailbox or an alias, in lower case. Its local part is the name of a folder too.
package struct AccountAddress: Hashable, Sendable {
    package let localPart: [UInt8]
    package let domain: AccountDomain

    /// RFC 5321 §4.5.3.1.1.
    package static let maxLocalPartBytes = 64
    /// What a local part is made of, for people.
    package static let alphabet = "letters, digits and . _ - + = & ' ! # ~, without a dot at its ends or two together"

    package var bytes: [UInt8] { localPart + [ASCII.at] + domain.bytes }

    /// - Returns: nil when a local part is not made of ``alphabet`` or is too long.
    package init?(localPart: some Collection<UInt8>, domain: AccountDomain) {
        let folded = localPart.lowercasedASCII()
        guard folded.count <= Self.maxLocalPartBytes, folded.allSatisfy(Self.isAllowed), !Address.needsQuoting(folded[...]) else { return nil }
        self.localPart = folded
        self.domain = domain
    }

    package init?(_ address: some BidirectionalCollection<UInt8>) {
        guard let at = address.lastIndex(of: ASCII.at), let domain = AccountDomain(address[address.index(after: at)...]) else { return nil }
        self.init(localPart: address[..<at], domain: domain)
    }

    private static let marks = Set("._-+=&'!#~".utf8)

    private static func isAllowed(_ byte: UInt8) -> Bool { byte.isLetter || byte.isDigit || marks.contains(byte) }
}

/// An address that mail is sent on to: anywhere, so of any form that an envelope may have.
package struct ForwardAddress: Hashable, Sendable {
    package let bytes: [UInt8]

    /// - Returns: nil for what is no `local@domain`, or could not stand in a line of instructions.
    package init?(_ address: some Collection<UInt8>) {
        guard let parsed = Address(address), let domain = parsed.domain, !domain.isEmpty, !parsed.localPart.isEmpty,
            !parsed.bytes.contains(where: { $0.isControl || $0.isBlank })
        else { return nil }
        bytes = parsed.bytes
    }
}
