private import Bytes
private import Glibc
private import Posix

/// maildirmake (spec-qmail §12.2): an empty Maildir.
enum Maildirmake {
    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        guard let name = call.arguments.first else { return usage("maildirmake", "maildirmake name") }
        umask(0o077)
        for part in ["", "/tmp", "/new", "/cur"] {
            let path = name + part.utf8
            guard make(path) else {
                let reason = errorText(errno)
                return fatal("maildirmake", "unable to mkdir ".utf8 + path + ": \(reason)".utf8, ExitCode.temporary)
            }
        }
        return ExitCode.ok
    }

    /// By bytes: a name need not be UTF-8.
    private static func make(_ path: [UInt8]) -> Bool {
        (path + [ASCII.nul]).withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return false }
            return mkdir(start.assumingMemoryBound(to: CChar.self), 0o700) == 0
        }
    }
}
