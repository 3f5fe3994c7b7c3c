private import Glibc
package import Posix

/// The real disk below one folder.
package final class Disk: Storage {
    private let root: String
    private let rights: Rights?

    /// - Parameter rights: whose rights are used on names, when they are not the process's own: see ``Rights/use(_:)``.
    package init(_ root: String, rights: Rights? = nil) {
        self.root = root
        self.rights = rights
    }

    private func full(_ path: String) -> String { path.isEmpty ? root : "\(root)/\(path)" }

    private func withRights<Result: ~Copyable>(_ body: () throws(SystemError) -> Result) throws(SystemError) -> Result {
        guard let rights else { return try body() }
        return try rights.use(body)
    }

    package func list(_ directory: String) throws(SystemError) -> [String] {
        let path = full(directory)
        let opened = try withRights { () throws(SystemError) -> OpaquePointer? in
            guard let stream = opendir(path) else {
                if errno == ENOENT { return nil }
                throw SystemError(call: "opendir", subject: path, errno: errno)
            }
            return stream
        }
        guard let stream = opened else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    package func makeDirectory(_ path: String) throws(SystemError) {
        let path = full(path)
        try withRights { () throws(SystemError) in
            if mkdir(path, 0o700) < 0, errno != EEXIST { throw SystemError(call: "mkdir", subject: path, errno: errno) }
        }
    }

    package func create(_ path: String) throws(SystemError) -> any StorageFile { try open(path, O_RDWR | O_CREAT | O_EXCL) }

    package func open(_ path: String) throws(SystemError) -> any StorageFile { try open(path, O_RDWR | O_NOFOLLOW) }

    private func open(_ path: String, _ flags: Int32) throws(SystemError) -> any StorageFile {
        let path = full(path)
        return try withRights { () throws(SystemError) in DiskFile(try FileDescriptor.open(path, flags, mode: 0o600), path) }
    }

    package func rename(_ path: String, to newPath: String) throws(SystemError) {
        let (from, to) = (full(path), full(newPath))
        try withRights { () throws(SystemError) in _ = try check("rename", from) { Glibc.rename(from, to) } }
    }

    package func remove(_ path: String) throws(SystemError) {
        let path = full(path)
        try withRights { () throws(SystemError) in _ = try check("unlink", path) { unlink(path) } }
    }

    package func freeBytes() throws(SystemError) -> Int {
        var info = statvfs()
        try check("statvfs", root) { statvfs(root, &info) }
        // Without what the file system keeps for root alone.
        let (bytes, overflow) = Int(clamping: info.f_bavail).multipliedReportingOverflow(by: Int(clamping: info.f_frsize))
        return overflow ? .max : bytes
    }

    package func syncDirectory(_ path: String) throws(SystemError) {
        let path = full(path)
        let directory = try withRights { () throws(SystemError) -> FileDescriptor in try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY) }
        try check("fsync", path) { fsync(directory.raw) }
    }
}

/// A file of ``Disk``.
private final class DiskFile: StorageFile {
    private let descriptor: FileDescriptor
    private let path: String

    init(_ descriptor: consuming FileDescriptor, _ path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    func size() throws(SystemError) -> Int {
        var info = stat()
        try check("stat", path) { fstat(descriptor.raw, &info) }
        return Int(info.st_size)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let count = try check("write", path) {
                pwrite(descriptor.raw, bytes.baseAddress?.advanced(by: done), bytes.count - done, off_t(offset + done))
            }
            guard count > 0 else { throw SystemError(call: "write", subject: path, errno: ENOSPC) }
            done += count
        }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int {
        var done = 0
        while done < buffer.count {
            let count = try check("read", path) {
                pread(descriptor.raw, buffer.baseAddress?.advanced(by: done), buffer.count - done, off_t(offset + done))
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    func sync() throws(SystemError) { try check("fdatasync", path) { fdatasync(descriptor.raw) } }
}
