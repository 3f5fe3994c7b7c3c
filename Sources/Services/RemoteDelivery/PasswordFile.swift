private import Bytes
package import Frames
private import Glibc
private import Posix

/// The password of a login, in a file of its own: its first line. Nobody but its owner and its group may read it, nobody but its owner change it.
package enum PasswordFile {
    private static let maxBytes = 1024
    private static let forbiddenMode: UInt32 = 0o027

    package enum Result: Equatable {
        case password([UInt8])
        /// What a delivery ends with.
        case unusable(DeliveryReport)
    }

    /// - Parameter path: absolute, or from the qmail home.
    package static func read(_ path: [UInt8]) -> Result {
        do throws(SystemError) {
            let file = try FileDescriptor.open(path.text, O_RDONLY | O_NONBLOCK)
            let raw = file.raw
            var info = stat()
            try check("stat") { fstat(raw, &info) }
            guard info.st_mode & S_IFMT == S_IFREG else { return unusable(path, "is no file") }
            guard info.st_mode & forbiddenMode == 0 else {
                return unusable(path, "may be read or changed by others; its mode must be 600, or 640 with qmailr's group")
            }
            var bytes = [UInt8](repeating: 0, count: maxBytes)
            let count = try check("read") { bytes.withUnsafeMutableBytes { pread(raw, $0.baseAddress, $0.count, 0) } }
            let line = bytes[..<count].prefix { $0 != ASCII.lf && $0 != ASCII.cr }
            return line.isEmpty || count == maxBytes ? unusable(path, "has no password in its first line") : .password(Array(line))
        } catch {
            return unusable(path, "cannot be read (\(error.reason))")
        }
    }

    private static func unusable(_ path: [UInt8], _ problem: String) -> Result {
        .unusable(DeliveryReport(.deferred, "The password file \(logsafe(path)) \(problem). (#4.3.5)\n"))
    }
}
