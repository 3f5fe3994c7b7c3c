private import Bytes

/// The accounts of an unprivileged install (a checkout, a container, tests), where every process runs under one uid and can deliver for no other.
///
/// A local part NAME is a user when `home/NAME` below the qmail home is a directory owned by that uid; NAME holds no `/` and does not
/// begin with a dot.
/// The one system account that runs everything is a user too. `alias/` below the qmail home is alias's home. All have our own uid and gid.
package struct CheckoutAccounts: AccountSource {
    private let qmailHome: [UInt8]
    private let uid: UInt32
    private let gid: UInt32
    private let system: any AccountSource

    /// - Parameters:
    ///   - qmailHome: absolute.
    ///   - system: asked for accounts of `uid` itself.
    package init(qmailHome: [UInt8], uid: UInt32, gid: UInt32, system: any AccountSource = SystemAccounts()) {
        self.qmailHome = qmailHome
        self.uid = uid
        self.gid = gid
        self.system = system
    }

    package func account(named name: [UInt8]) throws(LookupTrouble) -> MailAccount? {
        if let home = homeBelow(name), try ownerOfDirectory(home) == uid { return MailAccount(name: name, uid: uid, gid: gid, home: home) }
        guard let account = try system.account(named: name), account.uid == uid else { return nil }
        return MailAccount(name: name, uid: uid, gid: gid, home: account.home)
    }

    package func owner(ofHome path: [UInt8]) throws(LookupTrouble) -> UInt32? { try ownerOfDirectory(path) }

    package func alias() throws(LookupTrouble) -> MailAccount {
        MailAccount(name: Array("alias".utf8), uid: uid, gid: gid, home: qmailHome + Array("/alias".utf8))
    }

    private func homeBelow(_ name: [UInt8]) -> [UInt8]? {
        guard let first = name.first, first != ASCII.dot, !name.contains(ASCII.slash) else { return nil }
        return qmailHome + Array("/home/".utf8) + name
    }
}
