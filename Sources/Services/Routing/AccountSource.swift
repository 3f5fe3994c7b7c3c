private import Glibc

/// An account that may own a mailbox.
package struct MailAccount: Equatable, Sendable {
    package var name: [UInt8]
    package var uid: UInt32
    package var gid: UInt32
    /// Absolute.
    package var home: [UInt8]

    package init(name: [UInt8], uid: UInt32, gid: UInt32, home: [UInt8]) {
        self.name = name
        self.uid = uid
        self.gid = gid
        self.home = home
    }
}

/// Where accounts come from: ``SystemAccounts``, ``CheckoutAccounts``, a table in tests. Calls may block for as long as a directory server takes.
package protocol AccountSource: Sendable {
    func account(named name: [UInt8]) throws(LookupTrouble) -> MailAccount?

    /// Who owns a directory; nil when it cannot be there for this account (spec-qmail §6.5).
    func owner(ofHome path: [UInt8]) throws(LookupTrouble) -> UInt32?

    /// The account that gets what no user controls.
    func alias() throws(LookupTrouble) -> MailAccount
}

/// The accounts that mail of a qmail home is routed by, for a command: a home of root's is an installation, any other a checkout.
package func accounts(ofHome home: String) -> any AccountSource {
    var info = stat()
    guard stat(home, &info) == 0, info.st_uid != 0 else { return SystemAccounts() }
    return CheckoutAccounts(qmailHome: Array(home.utf8), uid: info.st_uid, gid: info.st_gid)
}
