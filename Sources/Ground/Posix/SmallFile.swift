private import Glibc

/// Reads a file whole; nil when it does not exist.
package func readSmallFile(_ path: String, maxBytes: Int) throws(SystemError) -> [UInt8]? {
    guard let descriptor = try FileDescriptor.openIfPresent(path, O_RDONLY | O_NONBLOCK) else { return nil }
    var info = stat()
    try check("stat", path) { fstat(descriptor.raw, &info) }
    guard info.st_mode & S_IFMT == S_IFREG else { throw SystemError(call: "read", subject: path, errno: EISDIR) }
    guard info.st_size <= maxBytes else { throw SystemError(call: "read", subject: path, errno: EFBIG) }
    var result = [UInt8](repeating: 0, count: Int(info.st_size))
    var filled = 0
    while filled < result.count {
        let count = try check("read", path) {
            result.withUnsafeMutableBytes { read(descriptor.raw, $0.baseAddress?.advanced(by: filled), $0.count - filled) }
        }
        if count == 0 { break }
        filled += count
    }
    result.removeLast(result.count - filled)
    return result
}
