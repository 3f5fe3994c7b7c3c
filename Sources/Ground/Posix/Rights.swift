private import Glibc

/// Whose rights a process uses.
package struct Rights: Equatable, Sendable {
    package let uid: UInt32
    package let gid: UInt32

    package init(uid: UInt32, gid: UInt32) {
        self.uid = uid
        self.gid = gid
    }

    /// Runs `body` with these rights on files instead of root's, so that nothing planted in a folder of that user leads root elsewhere, and what is made
    /// is that user's. For a process of root that has one thread; any other has these rights already.
    package func use<Result: ~Copyable>(_ body: () throws(SystemError) -> Result) throws(SystemError) -> Result {
        guard geteuid() == 0, uid != 0 else { return try body() }
        try check("setegid") { setegid(gid) }
        try check("seteuid") { seteuid(uid) }
        // Going back to the real identity needs no right.
        defer { precondition(seteuid(0) == 0 && setegid(0) == 0, "root's rights cannot be taken up again") }
        return try body()
    }
}
