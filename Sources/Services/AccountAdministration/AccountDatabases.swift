internal import Accounts
private import Bytes
private import CDB
private import Foundation
internal import GRDB
internal import Posix

/// Both constant databases of one state of the accounts, ready to be put in place: written and synced before the state is committed, renamed after.
struct AccountDatabases {
    private let routing: PendingFile
    private let logins: PendingFile

    /// - Parameter mailboxes: the absolute path of the folder of all mailboxes.
    init(_ database: Database, _ owner: MailboxOwner, mailboxes: [UInt8]) throws {
        let compiled = try Compilation(database, owner, mailboxes)
        routing = try PendingFile(compiled.routing.finish(), for: AccountDirectory.path, mode: 0o644)
        logins = try PendingFile(compiled.logins.finish(), for: LoginRecord.path, mode: 0o640, group: MailboxOwner.groupOfAuth)
    }

    func publish() throws(SystemError) {
        try routing.publish()
        try logins.publish()
    }
}

/// One walk through all tables, each in the order of its addresses.
private struct Compilation {
    var routing = ConstantDatabaseWriter()
    var logins = ConstantDatabaseWriter()

    init(_ database: Database, _ owner: MailboxOwner, _ mailboxes: [UInt8]) throws {
        let generation = try Int64.fetchOne(database, sql: "SELECT generation FROM state") ?? 0
        let header = AccountOwner(uid: owner.uid, gid: owner.gid, generation: UInt64(clamping: generation)).encoded
        routing.add(key: AccountKey.owner, value: header)
        logins.add(key: AccountKey.owner, value: header)
        try addDomains(database)
        try addAddresses(database, owner, mailboxes)
    }

    private mutating func addDomains(_ database: Database) throws {
        var targets = try Grouped(database, sql: "SELECT domain, target FROM catchAll ORDER BY domain, place")
        var names: [[UInt8]] = []
        let domains = try Row.fetchCursor(database, sql: "SELECT id, name FROM domain ORDER BY id")
        while let row = try domains.next() {
            let name = Array((row[1] as String).utf8)
            names.append(name)
            let catchAll = try targets.rows(of: row[0]) { Array($0[1] as Data) }
            routing.add(key: AccountKey.domain(name), value: DomainRecord.present(catchAll: catchAll).encoded)
        }
        for name in try String.fetchAll(database, sql: "SELECT name FROM removedDomain ORDER BY name") {
            routing.add(key: AccountKey.domain(name.utf8), value: DomainRecord.removed.encoded)
        }
        var list: [UInt8] = []
        list.append(list: names)
        routing.add(key: AccountKey.domains, value: list)
    }

    private mutating func addAddresses(_ database: Database, _ owner: MailboxOwner, _ mailboxes: [UInt8]) throws {
        var targets = try Grouped(database, sql: "SELECT address, target FROM target ORDER BY address, place")
        var passwords = try Grouped(database, sql: "SELECT address, label, hash FROM password ORDER BY address, label")
        let addresses = try Row.fetchCursor(
            database,
            sql: """
                SELECT address.id, localPart, name, keepsMail, quotaBytes, quotaMessages, iterations, salt, storedKey, serverKey, secret
                FROM address JOIN domain ON domain.id = domain LEFT JOIN mailbox ON mailbox.address = address.id
                LEFT JOIN scram ON scram.address = address.id LEFT JOIN secret ON secret.address = address.id ORDER BY address.id
                """)
        while let row = try addresses.next() {
            let id: Int64 = row[0]
            let (localPart, domain) = (Array((row[1] as String).utf8), Array((row[2] as String).utf8))
            let key = localPart + [ASCII.at] + domain
            let found = try targets.rows(of: id) { Array($0[1] as Data) }
            guard let keepsMail = row[3] as Bool? else {
                routing.add(key: key, value: AddressRecord.alias(targets: found).encoded)
                continue
            }
            let quota = Quota(bytes: UInt64(clamping: row[4] as Int64), messages: UInt32(clamping: row[5] as Int64))
            routing.add(key: key, value: AddressRecord.mailbox(quota: quota, keepsMail: keepsMail, forwards: found).encoded)
            let login = LoginRecord(
                uid: owner.uid, gid: owner.gid, home: mailboxes + [ASCII.slash] + domain + [ASCII.slash] + localPart,
                mailbox: Array(AccountDirectory.maildir.utf8), isConfined: true,
                passwords: try passwords.rows(of: id) { LoginRecord.Password(hash: Array($0[2] as Data), label: Array(($0[1] as String).utf8)) },
                scram: Compilation.scram(row), secret: (row[10] as Data?).map { Array($0) })
            // A mailbox without any password is for mail alone.
            guard !login.passwords.isEmpty else { continue }
            guard let encoded = login.encoded else { throw AccountFailure.database("the login of \(key.text) cannot be written") }
            logins.add(key: key, value: encoded)
        }
    }

    private static func scram(_ row: Row) -> LoginRecord.SCRAM? {
        guard let iterations = row[6] as Int64? else { return nil }
        return LoginRecord.SCRAM(
            iterations: UInt32(clamping: iterations), salt: Array(row[7] as Data), storedKey: Array(row[8] as Data), serverKey: Array(row[9] as Data))
    }
}

/// Rows that belong to others, read beside them in the same order.
private struct Grouped {
    private let cursor: RowCursor
    private var next: Row?

    /// - Parameter sql: rows whose first column is what they belong to, in its order.
    init(_ database: Database, sql: String) throws {
        cursor = try Row.fetchCursor(database, sql: sql)
        next = try cursor.next()?.copy()
    }

    /// Those of `id`. Owners are asked for in rising order.
    mutating func rows<Value>(of id: Int64, _ value: (Row) -> Value) throws -> [Value] {
        var result: [Value] = []
        while let row = next, (row[0] as Int64) <= id {
            if (row[0] as Int64) == id { result.append(value(row)) }
            next = try cursor.next()?.copy()
        }
        return result
    }
}
