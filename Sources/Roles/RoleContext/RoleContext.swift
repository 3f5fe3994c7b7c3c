private import Glibc


/// What the supervisor gives a role at its start. The working directory is the qmail home already.
package struct RoleContext: Sendable {
    /// `queue`, `smtpd` … as in the table of processes.
    package let role: String
    /// Which of several workers of the role this is, from 0.
    package let worker: Int
    /// How many workers the role has: what is limited for all of them is shared out.
    package let workers: Int
    /// Listening sockets, in the order they were given; the name is a ``Boundary``'s or the line of `control/smtplisten`.
    package let sockets: [(name: String, descriptor: Int32)]
    package let accounts: Accounts

    package init(role: String, worker: Int, workers: Int = 1, sockets: [(name: String, descriptor: Int32)], accounts: Accounts) {
        self.role = role
        self.worker = worker
        self.workers = workers
        self.sockets = sockets
        self.accounts = accounts
    }

    /// The listening socket of that name; the role owns it now.
    package func socket(_ name: String) -> Int32? { sockets.first { $0.name == name }?.descriptor }
}

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

    /// alias, then one for each kind of role.
    package static let names = ["alias", "qmaild", "qmaill", "qmailn", "qmailp", "qmailq", "qmailr", "qmails"]

    /// Looks every account up when this process is root; otherwise all are its own.
    /// - Throws: the name of an account that does not exist.
    package static func find() throws(MissingAccount) -> Accounts {
        guard geteuid() == 0 else { return unprivileged(uid: geteuid(), gid: getegid()) }
        var found: [String: Account] = [:]
        for name in names {
            guard let entry = getpwnam(name) else { throw MissingAccount(name: name) }
            found[name] = Account(name: name, uid: entry.pointee.pw_uid, gid: entry.pointee.pw_gid)
        }
        return Accounts(isPrivileged: true, byName: found, own: Account(name: "root", uid: 0, gid: 0))
    }

    package static func unprivileged(uid: UInt32, gid: UInt32) -> Accounts {
        Accounts(isPrivileged: false, byName: [:], own: Account(name: "", uid: uid, gid: gid))
    }

    /// Accounts read from arguments: roles cannot look them up once they have given up root.
    package init(_ accounts: [Account], own: Account) {
        self.init(isPrivileged: !accounts.isEmpty, byName: Dictionary(uniqueKeysWithValues: accounts.map { ($0.name, $0) }), own: own)
    }

    private let own: Account

    private init(isPrivileged: Bool, byName: [String: Account], own: Account) {
        self.isPrivileged = isPrivileged
        self.byName = byName
        self.own = own
    }

    /// - Parameter name: one of ``names``.
    package subscript(_ name: String) -> Account { byName[name] ?? own }

    package struct MissingAccount: Error { package let name: String }
}
