package import Accounts
private import Bytes
private import Foundation
internal import GRDB
private import Posix

/// A mailbox that is to be made.
package struct NewUser: Sendable {
    package var address: AccountAddress
    /// Nil: nobody logs in.
    package var password: NewPassword?
    package var quota = Quota.none
    package var keepsMail = true
    package var forwards: [ForwardAddress] = []

    package init(_ address: AccountAddress, _ password: NewPassword?) {
        self.address = address
        self.password = password
    }
}

/// A mailbox as lists show it.
package struct UserSummary: Equatable, Sendable {
    package let address: String
    package let quota: Quota
    package let keepsMail: Bool
    package let forwards: [[UInt8]]
    package let hasPassword: Bool
    package let applicationPasswords: Int
}

/// An alias with what it leads to.
package struct AliasSummary: Equatable, Sendable {
    package let address: String
    package let targets: [[UInt8]]
}

extension AccountAdministration {
    /// - Parameter domain: nil: of all domains.
    package func users(of domain: AccountDomain?) throws(AccountFailure) -> [UserSummary] {
        try read { database in
            let targets = try Self.targets(database)
            return try Row.fetchAll(
                database,
                sql: """
                    SELECT address.id, localPart || '@' || name, quotaBytes, quotaMessages, keepsMail,
                        (SELECT COUNT(*) FROM password WHERE password.address = address.id AND label = ''),
                        (SELECT COUNT(*) FROM password WHERE password.address = address.id AND label <> '')
                    FROM mailbox JOIN address ON address.id = mailbox.address JOIN domain ON domain.id = domain
                    WHERE ?1 IS NULL OR name = ?1 ORDER BY name, localPart
                    """, arguments: [domain?.text]
            ).map {
                UserSummary(
                    address: $0[1], quota: Quota(bytes: UInt64(clamping: $0[2] as Int64), messages: UInt32(clamping: $0[3] as Int64)),
                    keepsMail: $0[4],
                    forwards: targets[$0[0]] ?? [], hasPassword: $0[5] as Int > 0, applicationPasswords: $0[6])
            }
        }
    }

    package func aliases(of domain: AccountDomain?) throws(AccountFailure) -> [AliasSummary] {
        try read { database in
            let targets = try Self.targets(database)
            return try Row.fetchAll(
                database,
                sql: """
                    SELECT address.id, localPart || '@' || name FROM address JOIN domain ON domain.id = domain
                    LEFT JOIN mailbox ON mailbox.address = address.id WHERE mailbox.address IS NULL AND (?1 IS NULL OR name = ?1) ORDER BY name, localPart
                    """, arguments: [domain?.text]
            ).map { AliasSummary(address: $0[1], targets: targets[$0[0]] ?? []) }
        }
    }

    private static func targets(_ database: Database) throws -> [Int64: [[UInt8]]] {
        var targets: [Int64: [[UInt8]]] = [:]
        let rows = try Row.fetchCursor(database, sql: "SELECT address, target FROM target ORDER BY address, place")
        while let row = try rows.next() { targets[row[0], default: []].append(Array(row[1] as Data)) }
        return targets
    }

    // MARK: - Mailboxes

    /// All or none.
    /// - Parameter adopts: mail of an earlier mailbox of the same name becomes the new one's.
    package func add(_ users: [NewUser], adopts: Bool) throws(AccountFailure) {
        try change { database in
            for user in users {
                let id = try Self.insert(user.address, database)
                try database.execute(sql: "INSERT INTO mailbox VALUES (?, ?, ?, ?)", arguments: [id, 0, 0, true])
                try Self.setQuota(user.quota, of: id, database)
                try Self.setForwards(user.forwards, keepsMail: user.keepsMail, of: id, user.address, database)
                if let password = user.password { try Self.setPassword(password, of: id, database) }
            }
            // Last, for it is not undone: a folder with an empty Maildir is taken the next time.
            for user in users { try folders.make(user.address, adopts: adopts) }
            try folders.sync()
        }
    }

    /// - Parameter withMail: else its folder stays.
    package func removeUser(_ address: AccountAddress, withMail: Bool) throws(AccountFailure) {
        try change { try $0.execute(sql: "DELETE FROM address WHERE id = ?", arguments: [try Self.mailbox(address, $0)]) }
        if withMail { try folders.removeHome(of: address) }
    }

    package func setQuota(_ quota: Quota, of address: AccountAddress) throws(AccountFailure) {
        try change { try Self.setQuota(quota, of: try Self.mailbox(address, $0), $0) }
    }

    package func setForwards(_ forwards: [ForwardAddress], keepsMail: Bool, of address: AccountAddress) throws(AccountFailure) {
        try change { try Self.setForwards(forwards, keepsMail: keepsMail, of: try Self.mailbox(address, $0), address, $0) }
    }

    /// Makes homes and Maildirs that are missing; one that cannot be made keeps no other from it.
    package func mendFolders() throws(AccountFailure) {
        var failure: AccountFailure?
        for user in try users(of: nil) {
            guard let address = AccountAddress(Array(user.address.utf8)) else { continue }
            do throws(AccountFailure) { try folders.make(address, adopts: true) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    private static func setQuota(_ quota: Quota, of id: Int64, _ database: Database) throws {
        try database.execute(
            sql: "UPDATE mailbox SET quotaBytes = ?, quotaMessages = ? WHERE address = ?",
            arguments: [Int64(clamping: quota.bytes), quota.messages, id])
    }

    private static func setForwards(
        _ forwards: [ForwardAddress], keepsMail: Bool, of id: Int64, _ address: AccountAddress, _ database: Database
    ) throws {
        guard keepsMail || !forwards.isEmpty else { throw AccountFailure.losesMail(address) }
        try database.execute(sql: "UPDATE mailbox SET keepsMail = ? WHERE address = ?", arguments: [keepsMail, id])
        try setTargets(forwards, of: id, database)
    }

    private static func setTargets(_ targets: [ForwardAddress], of id: Int64, _ database: Database) throws {
        try checkSize(targets)
        try database.execute(sql: "DELETE FROM target WHERE address = ?", arguments: [id])
        for (place, target) in targets.enumerated() {
            try database.execute(sql: "INSERT INTO target VALUES (?, ?, ?)", arguments: [id, place, Data(target.bytes)])
        }
    }

    private static func insert(_ address: AccountAddress, _ database: Database) throws -> Int64 {
        let domain = try id(of: address.domain, database)
        guard try find(address, database) == nil else { throw AccountFailure.exists(address) }
        try database.execute(sql: "INSERT INTO address (domain, localPart) VALUES (?, ?)", arguments: [domain, address.localPart.text])
        return database.lastInsertedRowID
    }

    private static func find(_ address: AccountAddress, _ database: Database) throws -> Int64? {
        try Int64.fetchOne(
            database, sql: "SELECT address.id FROM address JOIN domain ON domain.id = domain WHERE name = ? AND localPart = ?",
            arguments: [address.domain.text, address.localPart.text])
    }

    private static func isMailbox(_ id: Int64, _ database: Database) throws -> Bool {
        try Int64.fetchOne(database, sql: "SELECT address FROM mailbox WHERE address = ?", arguments: [id]) != nil
    }

    static func mailbox(_ address: AccountAddress, _ database: Database) throws -> Int64 {
        guard let id = try find(address, database), try isMailbox(id, database) else { throw AccountFailure.noSuchMailbox(address) }
        return id
    }

    // MARK: - Aliases

    package func addAlias(_ address: AccountAddress, to targets: [ForwardAddress]) throws(AccountFailure) {
        try change { try Self.setTargets(targets, of: try Self.insert(address, $0), $0) }
    }

    package func removeAlias(_ address: AccountAddress) throws(AccountFailure) {
        try change { database in
            guard let id = try Self.find(address, database), try !Self.isMailbox(id, database) else { throw AccountFailure.noSuchAlias(address) }
            try database.execute(sql: "DELETE FROM address WHERE id = ?", arguments: [id])
        }
    }
}
