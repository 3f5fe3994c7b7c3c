private import Glibc
internal import Posix

/// A file put in the place of another at once: written under a second name, synced, renamed.
enum CompiledFile {
    enum Failure: Error {
        case writing(SystemError)
        case moving(SystemError)
    }

    /// Creates the file of the second name, empty, with qmail's mode.
    static func create(_ path: String) throws(Failure) -> FileDescriptor {
        umask(0o033)
        do throws(SystemError) { return try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644) } catch { throw .writing(error) }
    }

    static func finish(_ descriptor: borrowing FileDescriptor, _ temporary: String, _ bytes: [UInt8], as path: String) throws(Failure) {
        guard writeAll(bytes[...], to: descriptor.raw) else {
            throw .writing(SystemError(call: "write", subject: temporary, errno: errno))
        }
        let raw = descriptor.raw
        do throws(SystemError) { try check("fsync", temporary) { fsync(raw) } } catch { throw .writing(error) }
        do throws(SystemError) { try check("rename", path) { rename(temporary, path) } } catch { throw .moving(error) }
    }
}
