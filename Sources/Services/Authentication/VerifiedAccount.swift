/// Who a client has proved to be, and where its mail is.
///
/// Module `Authentication` decides whether a client is who it says: our own accounts and their hashes, the order of the back ends, what is refused after
/// failures, what an account may send. It must not know sockets or frames of clients. What holds: a login that fails costs the same whoever it was for, no uid
/// below the site's least one comes out, and nothing secret is in a text.
package struct VerifiedAccount: Equatable, Sendable {
    /// The name that permissions and logs go by: the address of an account of ours, the name of a system's.
    package var account: [UInt8]
    package var uid: UInt32
    package var gid: UInt32
    package var home: [UInt8]
    /// The Maildir, relative to ``home``.
    package var mailbox: [UInt8]
    package var isConfined: Bool

    package init(account: [UInt8], uid: UInt32, gid: UInt32, home: [UInt8], mailbox: [UInt8], isConfined: Bool) {
        self.account = account
        self.uid = uid
        self.gid = gid
        self.home = home
        self.mailbox = mailbox
        self.isConfined = isConfined
    }
}
