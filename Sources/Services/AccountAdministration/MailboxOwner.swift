private import Bytes
internal import Glibc
internal import Posix

/// The account that all mailboxes belong to: `control/vmailuser`; in an unprivileged install the one that runs everything.
package struct MailboxOwner: Equatable, Sendable {
    package let uid: UInt32
    package let gid: UInt32

    package init(uid: UInt32, gid: UInt32) {
        self.uid = uid
        self.gid = gid
    }

    /// What the account is called without `control/vmailuser`.
    package static let defaultName = "vmail"

    /// Nil when there is no account of that name.
    package static func named(_ name: String) -> MailboxOwner? {
        getpwnam(name).map { MailboxOwner(uid: $0.pointee.pw_uid, gid: $0.pointee.pw_gid) }
    }

    /// Of role auth, which alone reads the logins; nil where it has none of its own.
    static var groupOfAuth: gid_t? { getgrnam("qmaila")?.pointee.gr_gid }

    var rights: Rights { Rights(uid: uid, gid: gid) }
}
