private import Addresses
private import Glibc
private import Posix

/// The `.qmail` file that answers for an address, read (spec-qmail §7.2, §7.3).
struct DotQmailFile {
    let text: [UInt8]
    let isForwardOnly: Bool
    /// What `default` in its name stands for; nil when the name is exact.
    let defaultExtension: ArraySlice<UInt8>?

    /// A `.qmail` may be a list of many addresses; what is larger is a mistake.
    static let maxBytes = 16 << 20

    /// The first candidate that is a regular file; nil when there is none.
    static func find(in home: Home, dash: ArraySlice<UInt8>, ext: ArraySlice<UInt8>) throws(Undeliverable) -> DotQmailFile? {
        for candidate in DotQmailNames(dash: dash, ext: ext) {
            do throws(SystemError) {
                let descriptor = try FileDescriptor.open(candidate.name, in: home.directory, O_RDONLY | O_NONBLOCK)
                if let file = try read(descriptor, candidate) { return file }
            } catch {
                // A file that exists but cannot be read must not let mail fall through to another one.
                guard error.errno != unsafeMode else { throw .deferred("Uh-oh: .qmail file is writable. (#4.7.0)\n") }
                guard !error.isTemporary, error.errno != EACCES, error.errno != EPERM else {
                    throw .trouble("Unable to open", candidate.name, error.reason, "4.3.0")
                }
            }
        }
        return nil
    }

    /// No errno of the system.
    private static let unsafeMode: Int32 = -1

    private static func read(_ descriptor: borrowing FileDescriptor, _ candidate: DotQmailNames.Candidate) throws(SystemError) -> DotQmailFile? {
        let raw = descriptor.raw
        var info = stat()
        try check("stat") { fstat(raw, &info) }
        guard info.st_mode & S_IFMT == S_IFREG else { return nil }
        guard info.st_mode & Home.forbiddenMode == 0 else { throw SystemError(call: "mode", subject: "", errno: unsafeMode) }
        guard info.st_size <= maxBytes else { throw SystemError(call: "read", subject: "", errno: EFBIG) }
        var text = [UInt8](repeating: 0, count: Int(info.st_size))
        var filled = 0
        while filled < text.count {
            let count = try check("read") {
                text.withUnsafeMutableBytes { Glibc.read(raw, $0.baseAddress?.advanced(by: filled), $0.count - filled) }
            }
            if count == 0 { break }
            filled += count
        }
        text.removeLast(text.count - filled)
        return DotQmailFile(text: text, isForwardOnly: info.st_mode & 0o100 != 0, defaultExtension: candidate.defaultExtension)
    }
}
