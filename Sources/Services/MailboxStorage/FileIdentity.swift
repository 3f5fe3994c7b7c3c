private import Glibc
internal import Posix

/// Which directory a path leads to, and whose it is.
struct FileIdentity: Equatable {
    private let device: UInt64
    private let inode: UInt64
    let owner: UInt32

    init(of descriptor: borrowing FileDescriptor) throws(SystemError) {
        let raw = descriptor.raw
        var info = stat()
        try check("stat") { fstat(raw, &info) }
        self.init(info)
    }

    /// Nil when nothing is there.
    static func of(_ path: [UInt8], in directory: borrowing FileDescriptor) -> FileIdentity? {
        let parent = directory.raw
        var info = stat()
        let found = try? withPath(path) { fstatat(parent, $0, &info, AT_SYMLINK_NOFOLLOW) }
        return found == 0 ? FileIdentity(info) : nil
    }

    private init(_ info: stat) {
        device = UInt64(info.st_dev)
        inode = UInt64(info.st_ino)
        owner = info.st_uid
    }
}
