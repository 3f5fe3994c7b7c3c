private import CPosix
private import Glibc
internal import Posix

/// A file of qmail's home, opened so that reading leaves no trace: not for writing, and without a new time of access where the system allows that.
struct SourceFile: ~Copyable {
    private let descriptor: FileDescriptor
    let path: String
    let size: Int
    /// Of the last modification.
    let seconds: Int64
    let nanoseconds: Int64
    let uid: UInt32

    /// - Throws: `EINVAL` for what is no regular file.
    init(_ path: String) throws(SystemError) {
        let file = try SourceFile.open(path, O_NOFOLLOW | O_NONBLOCK)
        var info = stat()
        try check("stat", path) { fstat(file.raw, &info) }
        guard info.st_mode & S_IFMT == S_IFREG else { throw SystemError(call: "open", subject: path, errno: EINVAL) }
        self.path = path
        size = Int(info.st_size)
        seconds = Int64(info.st_mtim.tv_sec)
        nanoseconds = Int64(info.st_mtim.tv_nsec)
        uid = info.st_uid
        descriptor = file
    }

    /// Nil when the file does not exist.
    static func ifPresent(_ path: String) throws(SystemError) -> SourceFile? {
        do throws(SystemError) { return try SourceFile(path) } catch {
            if error.errno == ENOENT { return nil }
            throw error
        }
    }

    /// At most `count` bytes from `offset` on, fewer at the end.
    func read(_ count: Int, at offset: Int) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: max(0, count))
        var filled = 0
        while filled < bytes.count {
            let (raw, place) = (descriptor.raw, off_t(offset + filled))
            let got = try check("read", path) {
                bytes.withUnsafeMutableBytes { pread(raw, $0.baseAddress?.advanced(by: filled), $0.count - filled, place) }
            }
            if got == 0 { break }
            filled += got
        }
        bytes.removeLast(bytes.count - filled)
        return bytes
    }

    func all() throws(SystemError) -> [UInt8] { try read(size, at: 0) }

    /// For reading. O_NOATIME is for the owner and root.
    static func open(_ path: String, _ flags: Int32) throws(SystemError) -> FileDescriptor {
        do throws(SystemError) { return try FileDescriptor.open(path, O_RDONLY | flags | martlet_o_noatime) } catch {
            guard error.errno == EPERM else { throw error }
            return try FileDescriptor.open(path, O_RDONLY | flags)
        }
    }
}
