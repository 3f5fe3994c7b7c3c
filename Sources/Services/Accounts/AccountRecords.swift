package import Bytes

/// What a mailbox may hold; 0 is no limit.
package struct Quota: Equatable, Sendable {
    package var bytes: UInt64
    package var messages: UInt32

    package static let none = Quota(bytes: 0, messages: 0)

    package init(bytes: UInt64, messages: UInt32) {
        self.bytes = bytes
        self.messages = messages
    }

    /// As Maildir++ writes it (`maildirsize`): `1000000S,1000C`; empty without limits.
    package var maildirNotation: String {
        [bytes > 0 ? "\(bytes)S" : nil, messages > 0 ? "\(messages)C" : nil].compactMap { $0 }.joined(separator: ",")
    }
}

/// The values of `users/accounts.cdb`. Keys: `user@domain` for ``AddressRecord``, `@domain` for ``DomainRecord``, both in lower case; `@` for the names of
/// all domains; the empty key for ``AccountOwner``.
package enum AddressRecord: Equatable, Sendable {
    /// - keepsMail: false when mail is only sent on.
    case mailbox(quota: Quota, keepsMail: Bool, forwards: [[UInt8]])
    /// Leads to these addresses.
    case alias(targets: [[UInt8]])

    package init?(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        switch reader.byte() {
        case UInt8(ascii: "M"):
            guard let quota = reader.number(UInt64.self), let messages = reader.number(UInt32.self), let keeps = reader.byte(), keeps <= 1,
                let forwards = reader.list()
            else { return nil }
            self = .mailbox(quota: Quota(bytes: quota, messages: messages), keepsMail: keeps == 1, forwards: forwards)
        case UInt8(ascii: "A"):
            guard let targets = reader.list() else { return nil }
            self = .alias(targets: targets)
        default: return nil
        }
    }

    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .mailbox(let quota, let keepsMail, let forwards):
            bytes.append(UInt8(ascii: "M"))
            bytes.append(number: quota.bytes)
            bytes.append(number: quota.messages)
            bytes.append(keepsMail ? 1 : 0)
            bytes.append(list: forwards)
        case .alias(let targets):
            bytes.append(UInt8(ascii: "A"))
            bytes.append(list: targets)
        }
        return bytes
    }
}

package enum DomainRecord: Equatable, Sendable {
    /// - catchAll: what becomes of mail for addresses that are not there; empty: it is refused.
    case present(catchAll: [[UInt8]])
    /// Was ours: mail for it that is still in the queue must not fall to system users of the same names.
    case removed

    package init?(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        switch reader.byte() {
        case UInt8(ascii: "D"):
            guard let catchAll = reader.list() else { return nil }
            self = .present(catchAll: catchAll)
        case UInt8(ascii: "R"): self = .removed
        default: return nil
        }
    }

    package var encoded: [UInt8] {
        switch self {
        case .present(let catchAll):
            var bytes = [UInt8(ascii: "D")]
            bytes.append(list: catchAll)
            return bytes
        case .removed: return [UInt8(ascii: "R")]
        }
    }
}

/// Whose uid and gid all mailboxes have, and which state of the accounts the database shows.
package struct AccountOwner: Equatable, Sendable {
    package var uid: UInt32
    package var gid: UInt32
    /// Counts the changes.
    package var generation: UInt64

    package init(uid: UInt32, gid: UInt32, generation: UInt64) {
        self.uid = uid
        self.gid = gid
        self.generation = generation
    }

    package init?(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let uid = reader.number(UInt32.self), let gid = reader.number(UInt32.self), let generation = reader.number(UInt64.self) else {
            return nil
        }
        self.init(uid: uid, gid: gid, generation: generation)
    }

    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(number: uid)
        bytes.append(number: gid)
        bytes.append(number: generation)
        return bytes
    }
}

/// Keys of both databases that are no addresses.
package enum AccountKey {
    package static let owner: [UInt8] = []
    package static let domains = [ASCII.at]
    package static func domain(_ name: some Collection<UInt8>) -> [UInt8] { [ASCII.at] + name }
}

extension ByteReader {
    /// Counted items to the end.
    package mutating func list() -> [[UInt8]]? {
        var items: [[UInt8]] = []
        while !isAtEnd {
            guard let item = counted() else { return nil }
            items.append(Array(item))
        }
        return items
    }
}

extension [UInt8] {
    package mutating func append(list items: [[UInt8]]) { for item in items { append(counted: item) } }
}
