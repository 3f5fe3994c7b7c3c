package import Accounts
private import Foundation
internal import GRDB
private import Posix

/// A password of its own for one program of a user's.
package struct ApplicationPassword: Equatable, Sendable {
    package let label: String
    /// Seconds since 1970.
    package let created: UInt64
}

extension AccountAdministration {
    /// - Parameter password: nil: nobody logs in with a password of the mailbox's own.
    package func setPassword(_ password: NewPassword?, of address: AccountAddress) throws(AccountFailure) {
        try change { database in
            let id = try Self.mailbox(address, database)
            try Self.removePassword(of: id, database)
            if let password { try Self.setPassword(password, of: id, database) }
        }
    }

    package func applicationPasswords(of address: AccountAddress) throws(AccountFailure) -> [ApplicationPassword] {
        try read { database in
            try Row.fetchAll(
                database, sql: "SELECT label, created FROM password WHERE address = ? AND label <> '' ORDER BY created, label",
                arguments: [try Self.mailbox(address, database)]
            ).map { ApplicationPassword(label: $0[0], created: UInt64(clamping: $0[1] as Int64)) }
        }
    }

    /// Only its hash is kept: with it alone SCRAM, CRAM-MD5 and APOP do not work, for there a client does not say which of several passwords it has.
    package func addApplicationPassword(_ password: [UInt8], label: String, of address: AccountAddress) throws(AccountFailure) {
        let hash: [UInt8]
        do throws(PasswordHash.Failure) { hash = try PasswordHash.make(password) } catch { throw .database("\(error)") }
        try change { database in
            let id = try Self.mailbox(address, database)
            let labels = try String.fetchAll(database, sql: "SELECT label FROM password WHERE address = ?", arguments: [id])
            guard !labels.contains(label) else { throw AccountFailure.passwordExists(address, label: label) }
            // One place is the mailbox's own.
            guard labels.count(where: { !$0.isEmpty }) < LoginRecord.maxPasswords - 1 else { throw AccountFailure.tooManyPasswords(address) }
            try Self.insert(hash, label: label, of: id, database)
        }
    }

    package func removeApplicationPassword(label: String, of address: AccountAddress) throws(AccountFailure) {
        try change { database in
            let id = try Self.mailbox(address, database)
            try database.execute(sql: "DELETE FROM password WHERE address = ? AND label = ? AND label <> ''", arguments: [id, label])
            guard database.changesCount > 0 else { throw AccountFailure.noSuchPassword(address, label: label) }
        }
    }

    static func setPassword(_ password: NewPassword, of id: Int64, _ database: Database) throws {
        try insert(password.hash, label: "", of: id, database)
        if let scram = password.scram {
            try database.execute(
                sql: "INSERT INTO scram VALUES (?, ?, ?, ?, ?)",
                arguments: [id, scram.iterations, Data(scram.salt), Data(scram.storedKey), Data(scram.serverKey)])
        }
        if let secret = password.secret { try database.execute(sql: "INSERT INTO secret VALUES (?, ?)", arguments: [id, Data(secret)]) }
    }

    private static func removePassword(of id: Int64, _ database: Database) throws {
        for statement in [
            "DELETE FROM password WHERE address = ? AND label = ''", "DELETE FROM scram WHERE address = ?", "DELETE FROM secret WHERE address = ?",
        ] {
            try database.execute(sql: statement, arguments: [id])
        }
    }

    private static func insert(_ hash: [UInt8], label: String, of id: Int64, _ database: Database) throws {
        try database.execute(
            sql: "INSERT INTO password VALUES (?, ?, ?, ?)", arguments: [id, label, Data(hash), Int64(clamping: unixTime())])
    }
}
