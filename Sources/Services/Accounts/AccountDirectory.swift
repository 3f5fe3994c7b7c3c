package import Addresses
private import Bytes
private import CDB
package import Posix

/// `users/accounts.cdb`: who gets mail for a domain of ours. A value of one version of the file.
///
/// An address is looked for as it stands; then as an extension of one, `user-ext` and `user+ext`, the longest first; then the domain's catch-all.
package final class AccountDirectory: Sendable {
    /// Below the qmail home.
    package static let path = "users/accounts.cdb"
    /// Mailboxes lie in `mailboxes/DOMAIN/USER` below the qmail home.
    package static let mailboxes = "mailboxes"
    /// An empty folder there, the home of what only sends mail on.
    package static let forwardingHome = ".forwarding"
    /// Within the home of a mailbox.
    package static let maildir = "Maildir"

    package enum Failure: Error, Equatable {
        case unreadable(SystemError)
        case damaged
    }

    package enum Finding: Equatable, Sendable {
        /// - ext: what follows the hyphen of `user-ext`, for the `.qmail` files of the mailbox; nil for the mailbox's own address, with a `+ext` or without.
        case mailbox(AccountAddress, quota: Quota, keepsMail: Bool, forwards: [[UInt8]], ext: ArraySlice<UInt8>?)
        case targets([[UInt8]])
        case nobody
    }

    private let database: ConstantDatabase
    package let owner: AccountOwner

    /// - Returns: nil when there is no such file: no accounts.
    package static func open(_ path: String = AccountDirectory.path) throws(Failure) -> AccountDirectory? {
        let opened: ConstantDatabase?
        do throws(SystemError) { opened = try ConstantDatabase.open(path) } catch { throw .unreadable(error) }
        guard let opened else { return nil }
        return try AccountDirectory(opened)
    }

    private init(_ database: ConstantDatabase) throws(Failure) {
        self.database = database
        guard let owner = try Self.value(AccountKey.owner, in: database, AccountOwner.init) else { throw .damaged }
        self.owner = owner
    }

    /// The names of all domains that are ours now.
    package func domains() throws(Failure) -> Set<[UInt8]> {
        Set(try Self.value(AccountKey.domains, in: database) { reading($0) } ?? [])
    }

    /// Nil for a domain that never was ours. The name is taken in any case, and in the letters of any script.
    package func domain(_ name: some Collection<UInt8>) throws(Failure) -> DomainRecord? {
        guard let domain = AccountDomain(name) else { return nil }
        return try Self.value(AccountKey.domain(domain.bytes), in: database, DomainRecord.init)
    }

    /// What becomes of mail for an address. A domain that is not ours has nobody.
    package func find(_ localPart: some Collection<UInt8>, at name: some Collection<UInt8>) throws(Failure) -> Finding {
        guard let domain = AccountDomain(name), case .present(let catchAll) = try self.domain(domain.bytes) else { return .nobody }
        let local = Array(localPart)
        if let found = try entry(local[...], domain) { return finding(found, ext: nil) }
        for index in local.indices.reversed() where local[index] == ASCII.hyphen || local[index] == ASCII.plus {
            guard let found = try entry(local[..<index], domain) else { continue }
            // A list or an alias has no files that could answer for an extension.
            if case .alias = found.record, local[index] == ASCII.hyphen { continue }
            return finding(found, ext: local[index] == ASCII.plus ? nil : local[(index + 1)...])
        }
        return catchAll.isEmpty ? .nobody : .targets(catchAll)
    }

    private typealias Entry = (address: AccountAddress, record: AddressRecord)

    private func entry(_ localPart: ArraySlice<UInt8>, _ domain: AccountDomain) throws(Failure) -> Entry? {
        guard let address = AccountAddress(localPart: localPart, domain: domain),
            let record = try Self.value(address.bytes, in: database, AddressRecord.init)
        else { return nil }
        return (address, record)
    }

    private func finding(_ entry: Entry, ext: ArraySlice<UInt8>?) -> Finding {
        switch entry.record {
        case .mailbox(let quota, let keepsMail, let forwards):
            .mailbox(entry.address, quota: quota, keepsMail: keepsMail, forwards: forwards, ext: ext)
        case .alias(let targets): .targets(targets)
        }
    }

    /// A record that does not parse is damage, not absence.
    private static func value<Value>(_ key: [UInt8], in database: ConstantDatabase, _ parse: ([UInt8]) -> Value?) throws(Failure) -> Value? {
        let bytes: [UInt8]?
        do throws(ConstantDatabase.Failure) { bytes = try database.value(of: key) } catch { throw .damaged }
        guard let bytes else { return nil }
        guard let value = parse(bytes) else { throw .damaged }
        return value
    }
}

private func reading(_ bytes: [UInt8]) -> [[UInt8]]? {
    var reader = ByteReader(bytes)
    return reader.list()
}

// Who may send as whom.
extension AccountDirectory {
    /// Aliases lead to aliases, no further than this.
    private static let maxDepth = 8

    /// Whether an envelope sender is the account's: its own address, an extension of it, or an alias or a catch-all that leads to it.
    package func owns(account: some BidirectionalCollection<UInt8>, sender: Address) throws(Failure) -> Bool {
        guard let account = AccountAddress(account) else { return false }
        var seen: Set<[UInt8]> = []
        var addresses = [sender.bytes]
        for _ in 0..<Self.maxDepth where !addresses.isEmpty {
            var next: [[UInt8]] = []
            for bytes in addresses where seen.insert(bytes.lowercasedASCII()).inserted {
                guard let address = Address(bytes), let domain = address.domain else { continue }
                switch try find(address.localPart, at: domain) {
                case .mailbox(let owner, _, _, _, _): if owner == account { return true }
                case .targets(let targets): next += targets
                case .nobody: continue
                }
            }
            addresses = next
        }
        return false
    }
}

extension AccountDirectory.Failure {
    /// With the mend.
    package var text: String {
        switch self {
        case .unreadable(let error): error.reason
        case .damaged: "is damaged; make it anew with martlet user rebuild"
        }
    }
}
