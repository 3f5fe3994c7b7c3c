private import Glibc
package import Posix
package import Storage

/// One queue only, whoever starts it: qmail-send's own lock, `queue/lock/sendmutex` below the working directory. Held as long as this lives.
package struct QueueLock: ~Copyable, Sendable {
    package static let path = "queue/lock/sendmutex"
    private let descriptor: FileDescriptor

    /// - Parameter owner: who gets what must be made.
    /// - Throws: `EWOULDBLOCK` when another process holds it.
    package init(owner: Disk.Owner? = nil) throws(SystemError) {
        let folder = "queue/lock"
        if mkdir(folder, 0o700) == 0 {
            if let owner { try check("chown", folder) { chown(folder, owner.uid, owner.gid) } }
        } else if errno != EEXIST {
            throw SystemError(call: "mkdir", subject: folder, errno: errno)
        }
        let file = try FileDescriptor.open(Self.path, O_RDWR | O_CREAT | O_NOFOLLOW)
        if let owner { try check("chown", Self.path) { fchown(file.raw, owner.uid, owner.gid) } }
        try check("lock", Self.path) { flock(file.raw, LOCK_EX | LOCK_NB) }
        descriptor = file
    }
}
