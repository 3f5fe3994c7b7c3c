private import Glibc
package import Posix

/// One queue only, whoever starts it: qmail-send's own lock, `queue/lock/sendmutex` below the working directory. Held as long as this lives.
package struct QueueLock: ~Copyable, Sendable {
    package static let path = "queue/lock/sendmutex"
    private let descriptor: FileDescriptor

    /// - Throws: `EWOULDBLOCK` when another process holds it.
    package init() throws(SystemError) {
        let folder = "queue/lock"
        if mkdir(folder, 0o700) < 0, errno != EEXIST { throw SystemError(call: "mkdir", subject: folder, errno: errno) }
        let file = try FileDescriptor.open(Self.path, O_RDWR | O_CREAT | O_NOFOLLOW)
        try check("lock", Self.path) { flock(file.raw, LOCK_EX | LOCK_NB) }
        descriptor = file
    }
}
