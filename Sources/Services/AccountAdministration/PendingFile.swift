internal import Glibc
internal import Posix

/// The next version of a file: written and synced beside it, then put in its place at once.
struct PendingFile {
    private let path: String
    private var temporary: String { path + ".tmp" }

    /// - Parameters:
    ///   - mode: whatever the umask says.
    ///   - group: who reads it besides, where root writes it.
    init(_ bytes: [UInt8], for path: String, mode: mode_t, group: gid_t? = nil) throws(SystemError) {
        self.path = path
        let temporary = path + ".tmp"
        // A leftover of a command that was killed has perhaps another mode.
        unlink(temporary)
        let file = try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
        let raw = file.raw
        if let group, geteuid() == 0 { try check("chown", temporary) { fchown(raw, 0, group) } }
        try check("chmod", temporary) { fchmod(raw, mode) }
        var written = 0
        while written < bytes.count {
            written += try check("write", temporary) {
                bytes.withUnsafeBytes { write(raw, $0.baseAddress?.advanced(by: written), $0.count - written) }
            }
        }
        try check("fsync", temporary) { fsync(raw) }
    }

    func publish() throws(SystemError) {
        try check("rename", path) { rename(temporary, path) }
        let folder = try FileDescriptor.open(path.split(separator: "/").dropLast().joined(separator: "/"), O_RDONLY | O_DIRECTORY)
        try check("fsync", path) { fsync(folder.raw) }
    }
}
