package import Glibc

/// A path given as bytes, for calls: names of files and folders need not be UTF-8, and mail brings any.
/// - Throws: `EINVAL` when it holds a NUL, at which the kernel would stop reading.
@discardableResult
package func withPath<Result>(
    _ path: some Collection<UInt8>, _ body: (UnsafePointer<CChar>) throws(SystemError) -> Result
) throws(SystemError) -> Result {
    var bytes: [CChar] = []
    bytes.reserveCapacity(path.count + 1)
    for byte in path {
        guard byte != 0 else { throw SystemError(call: "path", subject: "", errno: EINVAL) }
        bytes.append(CChar(bitPattern: byte))
    }
    bytes.append(0)
    return try bytes.withUnsafeBufferPointer { (buffer) throws(SystemError) in
        guard let start = buffer.baseAddress else { throw SystemError(call: "path", subject: "", errno: EINVAL) }
        return try body(start)
    }
}

extension FileDescriptor {
    /// Opens a path of bytes relative to an open directory.
    package static func open(_ path: some Collection<UInt8>, in directory: borrowing FileDescriptor, _ flags: Int32, mode: mode_t = 0o600)
        throws(SystemError) -> FileDescriptor
    {
        let parent = directory.raw
        return FileDescriptor(
            owning: try withPath(path) { (path) throws(SystemError) in
                try check("open") { openat(parent, path, flags | O_CLOEXEC, mode) }
            })
    }

    /// Opens a path of bytes.
    package static func open(_ path: some Collection<UInt8>, _ flags: Int32) throws(SystemError) -> FileDescriptor {
        FileDescriptor(owning: try withPath(path) { (path) throws(SystemError) in try check("open") { Glibc.open(path, flags | O_CLOEXEC) } })
    }
}
