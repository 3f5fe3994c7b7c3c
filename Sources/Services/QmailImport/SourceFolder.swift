private import Glibc
internal import Posix

/// Lists a folder of qmail's home.
enum SourceFolder {
    enum Kind: Sendable {
        case file
        case folder
        case link
        case other
    }

    struct Entry: Sendable {
        /// Need not be UTF-8.
        let name: [UInt8]
        let kind: Kind
    }

    /// In no order; without `.` and `..`. Nil when there is no such folder.
    static func list(_ path: String) throws(SystemError) -> [Entry]? {
        let folder: FileDescriptor
        do throws(SystemError) { folder = try SourceFile.open(path, O_DIRECTORY) } catch {
            if error.errno == ENOENT { return nil }
            throw error
        }
        let raw = folder.release()
        guard let stream = fdopendir(raw) else {
            let code = errno
            close(raw)
            throw SystemError(call: "opendir", subject: path, errno: code)
        }
        defer { closedir(stream) }
        return try entries(stream, path)
    }

    private static func entries(_ stream: OpaquePointer, _ path: String) throws(SystemError) -> [Entry] {
        var found: [Entry] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw SystemError(call: "readdir", subject: path, errno: errno) }
                return found
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name == [UInt8(ascii: ".")] || name == [UInt8](repeating: UInt8(ascii: "."), count: 2) { continue }
            found.append(Entry(name: name, kind: try kind(Int(entry.pointee.d_type), name, dirfd(stream))))
        }
    }

    private static func kind(_ type: Int, _ name: [UInt8], _ folder: Int32) throws(SystemError) -> Kind {
        switch type {
        case Int(DT_REG): return .file
        case Int(DT_DIR): return .folder
        case Int(DT_LNK): return .link
        case Int(DT_UNKNOWN): break
        default: return .other
        }
        // Some file systems do not say.
        var info = stat()
        try withPath(name) { (path) throws(SystemError) in try check("stat") { fstatat(folder, path, &info, AT_SYMLINK_NOFOLLOW) } }
        switch info.st_mode & S_IFMT {
        case S_IFREG: return .file
        case S_IFDIR: return .folder
        case S_IFLNK: return .link
        default: return .other
        }
    }
}
