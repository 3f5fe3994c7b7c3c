private import Glibc
internal import Posix

/// The home of a qmail that does not run, kept from starting as long as this lives.
struct SourceHome {
    let path: String
    /// qmail-send holds its own for writing; this one for reading changes nothing and keeps it out. Nil where there is no such file: a copied queue.
    private let lock: Lock?
    /// qmail-send runs.
    let isRunning: Bool

    init(_ path: String) throws(ImportRefusal) {
        guard let mess = try SourceHome.identity("\(path)/queue/mess") else { throw .noQmail(path) }
        if mess == (try SourceHome.identity("queue/mess")) { throw .ownHome(path) }
        self.path = path
        do throws(SystemError) { lock = Lock(try SourceFile.open("\(path)/queue/lock/sendmutex", 0)) } catch {
            guard error.errno == ENOENT else { throw .disk(error) }
            lock = nil
        }
        isRunning = lock?.isHeldByOther ?? false
    }

    private final class Lock {
        private let descriptor: FileDescriptor
        let isHeldByOther: Bool

        init(_ file: consuming FileDescriptor) {
            isHeldByOther = flock(file.raw, LOCK_SH | LOCK_NB) != 0
            descriptor = file
        }
    }

    private struct Identity: Equatable {
        let device: UInt64
        let inode: UInt64
    }

    private static func identity(_ path: String) throws(ImportRefusal) -> Identity? {
        var info = stat()
        if stat(path, &info) == 0 { return Identity(device: UInt64(info.st_dev), inode: UInt64(info.st_ino)) }
        guard errno == ENOENT || errno == ENOTDIR else { throw .disk(SystemError(call: "stat", subject: path, errno: errno)) }
        return nil
    }
}
