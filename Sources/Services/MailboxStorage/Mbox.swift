private import Bytes
private import Glibc
package import Posix

/// Appends messages to mbox files, locked against every other program that uses flock.
package enum Mbox {
    /// spec-qmail §7.6.
    package static let lockSeconds = 30
    private static let lockRetryMicroseconds: UInt32 = 50_000

    /// - Parameters:
    ///   - path: as in a `.qmail` line.
    ///   - home: where relative paths begin.
    ///   - lines: the From_ line and the trace lines.
    package static func append(
        _ lines: [UInt8], _ message: MessageContent, to path: [UInt8], in home: borrowing FileDescriptor
    ) throws(MboxFailure) {
        let mbox = try open(path, in: home)
        let size = lseek(mbox.file.raw, 0, SEEK_END)
        do throws(MboxFailure) {
            try write(lines, message, to: mbox.file)
            if size == 0 { syncDirectory(of: path, in: home) }
        } catch {
            // Only under the lock is the old end still ours to restore.
            if mbox.isLocked, size >= 0 { ftruncate(mbox.file.raw, size) }
            throw error
        }
    }

    /// The file may have been made just now: its name must last as the mail in it does.
    private static func syncDirectory(of path: [UInt8], in home: borrowing FileDescriptor) {
        let folder = path.lastIndex(of: ASCII.slash).map { path[..<$0] } ?? []
        guard let directory = try? FileDescriptor.open(folder.isEmpty ? [ASCII.dot] : Array(folder), in: home, O_RDONLY | O_DIRECTORY) else { return }
        fsync(directory.raw)
    }

    private struct Open: ~Copyable {
        let file: FileDescriptor
        let isLocked: Bool
    }

    /// How often a file is opened that somebody puts another in the place of.
    private static let maxAttempts = 10

    /// A regular file of ours whose one name is `path`, looked at when it is open and locked: nobody else can have put it in the way of our mail,
    /// and it has not been replaced while we waited.
    private static func open(_ path: [UInt8], in home: borrowing FileDescriptor) throws(MboxFailure) -> Open {
        let deadline = monotonicNanoseconds() + UInt64(lockSeconds) * 1_000_000_000
        for _ in 0..<maxAttempts {
            let file = try openOnce(path, in: home)
            let isLocked = try lock(file, until: deadline)
            if try isAtItsPlace(file, path, in: home) { return Open(file: file, isLocked: isLocked) }
        }
        throw .cannotOpen(SystemError(call: "open", subject: "", errno: EBUSY))
    }

    private static func openOnce(_ path: [UInt8], in home: borrowing FileDescriptor) throws(MboxFailure) -> FileDescriptor {
        do throws(SystemError) {
            let file = try FileDescriptor.open(path, in: home, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK)
            let raw = file.raw
            var info = stat()
            try check("stat") { fstat(raw, &info) }
            guard info.st_mode & S_IFMT == S_IFREG, info.st_nlink == 1, info.st_uid == geteuid() else {
                throw SystemError(call: "open", subject: "", errno: EPERM)
            }
            return file
        } catch { throw .cannotOpen(error) }
    }

    /// Both are asked of the name: of a file that was reached by a second name, since removed, the first would be found elsewhere.
    private static func isAtItsPlace(_ file: borrowing FileDescriptor, _ path: [UInt8], in home: borrowing FileDescriptor) throws(MboxFailure) -> Bool
    {
        let (raw, parent) = (file.raw, home.raw)
        var opened = stat()
        var named = stat()
        do throws(SystemError) {
            try check("stat") { fstat(raw, &opened) }
            try withPath(path) { (path) throws(SystemError) in try check("stat") { fstatat(parent, path, &named, AT_SYMLINK_NOFOLLOW) } }
        } catch {
            guard error.errno == ENOENT else { throw .cannotOpen(error) }
            return false
        }
        return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino && named.st_nlink == 1
    }

    /// - Returns: false where locks do not work; mail is delivered all the same.
    private static func lock(_ file: borrowing FileDescriptor, until deadline: UInt64) throws(MboxFailure) -> Bool {
        while flock(file.raw, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { return false }
            guard monotonicNanoseconds() < deadline else { throw .locked }
            usleep(lockRetryMicroseconds)
        }
        return true
    }

    private static func write(_ lines: [UInt8], _ message: MessageContent, to file: borrowing FileDescriptor) throws(MboxFailure) {
        let raw = file.raw
        var quoting = MboxQuoting()
        var isWriting = true
        do throws(SystemError) {
            try writeAll(lines + quoting.quote(message.head), to: raw)
            isWriting = false
            try message.forEachChunkAfterHead { (chunk) throws(SystemError) in
                isWriting = true
                try writeAll(quoting.quote(chunk), to: raw)
                isWriting = false
                return true
            }
            isWriting = true
            try writeAll(quoting.finish(), to: raw)
            try check("fsync") { fsync(raw) }
        } catch { throw isWriting ? .cannotWrite(error) : .cannotReadMessage(error) }
    }
}
