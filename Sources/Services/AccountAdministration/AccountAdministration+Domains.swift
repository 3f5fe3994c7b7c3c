package import Accounts
private import Foundation
internal import GRDB

/// A domain with what it holds, for lists.
package struct DomainSummary: Equatable, Sendable {
    package let name: String
    package let mailboxes: Int
    package let aliases: Int
    package let catchAll: [[UInt8]]
}

extension AccountAdministration {
    package func domains() throws(AccountFailure) -> [DomainSummary] {
        try read { database in
            var catchAll: [Int64: [[UInt8]]] = [:]
            for row in try Row.fetchAll(database, sql: "SELECT domain, target FROM catchAll ORDER BY domain, place") {
                catchAll[row[0], default: []].append(Array(row[1] as Data))
            }
            return try Row.fetchAll(
                database,
                sql: """
                    SELECT domain.id, name, COUNT(mailbox.address), COUNT(address.id) - COUNT(mailbox.address) FROM domain
                    LEFT JOIN address ON domain = domain.id LEFT JOIN mailbox ON mailbox.address = address.id GROUP BY domain.id ORDER BY name
                    """
            ).map { DomainSummary(name: $0[1], mailboxes: $0[2], aliases: $0[3], catchAll: catchAll[$0[0]] ?? []) }
        }
    }

    package func add(_ domain: AccountDomain, catchAll: [ForwardAddress]) throws(AccountFailure) {
        try change { database in
            guard try Self.find(domain, database) == nil else { throw AccountFailure.domainExists(domain) }
            try database.execute(sql: "DELETE FROM removedDomain WHERE name = ?", arguments: [domain.text])
            try database.execute(sql: "INSERT INTO domain (name) VALUES (?)", arguments: [domain.text])
            try Self.setCatchAll(catchAll, of: database.lastInsertedRowID, database)
        }
    }

    /// - Parameter targets: empty: mail for addresses that are not there is refused.
    package func setCatchAll(_ targets: [ForwardAddress], of domain: AccountDomain) throws(AccountFailure) {
        try change { try Self.setCatchAll(targets, of: try Self.id(of: domain, $0), $0) }
    }

    /// - Parameters:
    ///   - withUsers: its addresses go with it; else there must be none.
    ///   - withMail: so does all their mail.
    package func remove(_ domain: AccountDomain, withUsers: Bool, withMail: Bool) throws(AccountFailure) {
        let localParts: [String] = try change { database in
            let id = try Self.id(of: domain, database)
            let localParts = try String.fetchAll(database, sql: "SELECT localPart FROM address WHERE domain = ?", arguments: [id])
            guard withUsers || localParts.isEmpty else { throw AccountFailure.domainInUse(domain, addresses: localParts.count) }
            try database.execute(sql: "DELETE FROM address WHERE domain = ?", arguments: [id])
            try database.execute(sql: "DELETE FROM domain WHERE id = ?", arguments: [id])
            try database.execute(sql: "INSERT OR IGNORE INTO removedDomain (name) VALUES (?)", arguments: [domain.text])
            return localParts
        }
        guard withMail else { return folders.removeFolder(of: domain) }
        for localPart in localParts {
            if let address = AccountAddress(localPart: localPart.utf8, domain: domain) { try folders.removeHome(of: address) }
        }
        folders.removeFolder(of: domain)
    }

    private static func setCatchAll(_ targets: [ForwardAddress], of domain: Int64, _ database: Database) throws {
        try checkSize(targets)
        try database.execute(sql: "DELETE FROM catchAll WHERE domain = ?", arguments: [domain])
        for (place, target) in targets.enumerated() {
            try database.execute(sql: "INSERT INTO catchAll VALUES (?, ?, ?)", arguments: [domain, place, Data(target.bytes)])
        }
    }

    static func id(of domain: AccountDomain, _ database: Database) throws -> Int64 {
        guard let id = try find(domain, database) else { throw AccountFailure.noSuchDomain(domain) }
        return id
    }

    private static func find(_ domain: AccountDomain, _ database: Database) throws -> Int64? {
        try Int64.fetchOne(database, sql: "SELECT id FROM domain WHERE name = ?", arguments: [domain.text])
    }

    static func checkSize(_ targets: [ForwardAddress]) throws {
        guard targets.reduce(0, { $0 + $1.bytes.count + 2 }) <= maxTargetBytes else { throw AccountFailure.tooManyTargets }
    }
}

extension AccountDomain {
    /// It is all ASCII.
    var text: String { String(decoding: bytes, as: UTF8.self) }
}
