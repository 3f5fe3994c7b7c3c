private import Glibc

/// The accounts that Martlet's processes run under (spec-qmail §1.1). An unprivileged install has one for all.
package struct Accounts: Sendable {
    package struct Account: Equatable, Sendable {
        package let name: String
        package let uid: UInt32
        package let gid: UInt32
        package init(name: String, uid: UInt32, gid: UInt32) {
            self.name = name
            self.uid = uid
            self.gid = gid
        }
    }

    /// False when everything runs under the account that started it.
    package let isPrivileged: Bool
    private let byName: [String: Account]
    private let own: Account

    /// alias, then one for each kind of role.
    package static let names = ["alias", "qmaila", "qmaild", "qmailk", "qmaill", "qmailn", "qmailp", "qmailq", "qmailr", "qmails"]

    /// Looks every account up when this process is root; otherwise all are its own.
    /// - Throws: the name of an account that does not exist.
    package static func find() throws(MissingAccount) -> Accounts {
        guard geteuid() == 0 else { return unprivileged(uid: geteuid(), gid: getegid()) }
        var found: [Account] = []
        for name in names {
            guard let entry = getpwnam(name) else { throw MissingAccount(name: name) }
            found.append(Account(name: name, uid: entry.pointee.pw_uid, gid: entry.pointee.pw_gid))
        }
        return Accounts(found, own: Account(name: "root", uid: 0, gid: 0))
    }

    package static func unprivileged(uid: UInt32, gid: UInt32) -> Accounts {
        Accounts([], own: Account(name: "", uid: uid, gid: gid))
    }

    /// Accounts read from arguments: roles cannot look them up once they have given up root.
    package init(_ accounts: [Account], own: Account) {
        isPrivileged = !accounts.isEmpty
        byName = Dictionary(accounts.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.own = own
    }

    /// - Parameter name: one of ``names``.
    package subscript(_ name: String) -> Account { byName[name] ?? own }

    /// Those that were looked up; none in an unprivileged install.
    package var all: [Account] { Self.names.compactMap { byName[$0] } }

    package struct MissingAccount: Error { package let name: String }
}
