private import Glibc
package import Posix

/// The real disk below one folder.
package final class Disk: Storage {
    /// Who is to have what is made here, when that is not who makes it.
    package struct Owner: Equatable, Sendable {
        package let uid: UInt32
        package let gid: UInt32

        package init(uid: UInt32, gid: UInt32) {
            self.uid = uid
            self.gid = gid
        }
    }

    private let root: String
    private let owner: Owner?

    package init(_ root: String, owner: Owner? = nil) {
        self.root = root
        self.owner = owner
    }

    private func full(_ path: String) -> String { path.isEmpty ? root : "\(root)/\(path)" }

    package func list(_ directory: String) throws(SystemError) -> [String] {
        let path = full(directory)
        guard let stream = opendir(path) else {
            if errno == ENOENT { return [] }
            throw SystemError(call: "opendir", subject: path, errno: errno)
        }
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
        if mkdir(full(path), 0o700) < 0 {
            if errno == EEXIST { return }
            throw SystemError(call: "mkdir", subject: full(path), errno: errno)
        }
        if let owner { try check("chown", full(path)) { chown(full(path), owner.uid, owner.gid) } }
    }

    package func create(_ path: String) throws(SystemError) -> any StorageFile {
        let descriptor = try FileDescriptor.open(full(path), O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        if let owner { try check("chown", full(path)) { fchown(descriptor.raw, owner.uid, owner.gid) } }
        return DiskFile(descriptor, full(path))
    }

    package func open(_ path: String) throws(SystemError) -> any StorageFile {
        DiskFile(try FileDescriptor.open(full(path), O_RDWR | O_NOFOLLOW), full(path))
    }

    package func rename(_ path: String, to newPath: String) throws(SystemError) {
        let (from, to) = (full(path), full(newPath))
        try check("rename", from) { Glibc.rename(from, to) }
    }

    package func remove(_ path: String) throws(SystemError) {
        let path = full(path)
        try check("unlink", path) { unlink(path) }
    }

    package func freeBytes() throws(SystemError) -> Int {
        var info = statvfs()
        try check("statvfs", root) { statvfs(root, &info) }
        // Without what the file system keeps for root alone.
        let (bytes, overflow) = Int(clamping: info.f_bavail).multipliedReportingOverflow(by: Int(clamping: info.f_frsize))
        return overflow ? .max : bytes
    }

    package func syncDirectory(_ path: String) throws(SystemError) {
        let directory = try FileDescriptor.open(full(path), O_RDONLY | O_DIRECTORY)
        try check("fsync", full(path)) { fsync(directory.raw) }
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
