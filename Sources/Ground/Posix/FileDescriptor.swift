package import Glibc

/// Owns one open descriptor and closes it at the end of its life.
package struct FileDescriptor: ~Copyable, Sendable {
    /// The number, for calls. Valid only while the owner lives.
    package let raw: Int32

    /// Takes over `raw`, which nobody else may close.
    package init(owning raw: Int32) { self.raw = raw }

    deinit { close(raw) }

    /// Gives the number away; the caller closes it now.
    package consuming func release() -> Int32 {
        let number = raw
        discard self
        return number
    }

    /// - Parameter mode: permissions of a file that is created, octal.
    package static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws(SystemError) -> FileDescriptor {
        FileDescriptor(owning: try check("open", path) { Glibc.open(path, flags | O_CLOEXEC, mode) })
    }

    /// Nil when the file does not exist.
    package static func openIfPresent(_ path: String, _ flags: Int32) throws(SystemError) -> FileDescriptor? {
        while true {
            let raw = Glibc.open(path, flags | O_CLOEXEC)
            if raw >= 0 { return FileDescriptor(owning: raw) }
            let code = errno
            if code == ENOENT { return nil }
            if code != EINTR { throw SystemError(call: "open", subject: path, errno: code) }
        }
    }

    /// Relative to an open directory.
    package static func open(_ name: String, in directory: borrowing FileDescriptor, _ flags: Int32, mode: mode_t = 0o600) throws(SystemError)
        -> FileDescriptor
    {
        let parent = directory.raw
        return FileDescriptor(owning: try check("open", name) { openat(parent, name, flags | O_CLOEXEC, mode) })
    }
}

/// A system call that failed: which, on what, and why.
package struct SystemError: Error, Equatable, CustomStringConvertible {
    package let call: String
    /// The file, socket or account it was about; empty if none.
    package let subject: String
    package let errno: Int32

    package init(call: String, subject: String, errno: Int32) {
        self.call = call
        self.subject = subject
        self.errno = errno
    }

    /// The subject, then the reason in qmail's words (spec-qmail appendix B).
    package var description: String {
        subject.isEmpty ? "\(call): \(reason)" : "\(call) \(subject): \(reason)"
    }

    package var reason: String { errorText(errno) }

    /// Whether the same call may work later: then mail is deferred, not bounced (spec-qmail appendix B).
    package var isTemporary: Bool { isTemporaryError(errno) }
}

/// Runs a call that returns −1 on failure, again when a signal interrupted it.
@discardableResult
package func check<Result: SignedInteger>(_ name: String, _ subject: String = "", _ call: () -> Result) throws(SystemError) -> Result {
    while true {
        let result = call()
        if result >= 0 { return result }
        let code = errno
        if code != EINTR { throw SystemError(call: name, subject: subject, errno: code) }
    }
}
