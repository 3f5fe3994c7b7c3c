private import Glibc

/// qmail's words for an errno (spec-qmail appendix B); log tools match them.
package func errorText(_ code: Int32) -> String { texts[code] ?? "unknown error" }

/// The errnos that qmail takes for passing trouble (spec-qmail appendix B).
package func isTemporaryError(_ code: Int32) -> Bool { temporary.contains(code) }

private let texts: [Int32: String] = [
    ENOENT: "file does not exist", EACCES: "access denied", EPERM: "permission denied", ENOMEM: "out of memory", EIO: "input/output error",
    EEXIST: "file already exists", ETIMEDOUT: "timed out", EINTR: "interrupted system call", EAGAIN: "temporary failure", EPIPE: "broken pipe",
    EINPROGRESS: "operation in progress", ETXTBSY: "text busy", ENXIO: "device not configured", E2BIG: "argument list too long",
    ENOEXEC: "exec format error", EBADF: "file descriptor not open", ECHILD: "no child processes", EDEADLK: "operation would cause deadlock",
    EBUSY: "device busy", EXDEV: "cross-device link", ENOTDIR: "not a directory", EISDIR: "is a directory", EINVAL: "invalid argument",
    ENFILE: "system cannot open more files", EMFILE: "process cannot open more files", ENOTTY: "not a tty", EFBIG: "file too big",
    ENOSPC: "out of disk space", ESPIPE: "unseekable descriptor", EROFS: "read-only file system", EMLINK: "too many links",
    EADDRINUSE: "address already used", EADDRNOTAVAIL: "address not available", ENETDOWN: "network down", ENETUNREACH: "network unreachable",
    ECONNABORTED: "connection aborted", ECONNRESET: "connection reset", ENOBUFS: "out of buffer space", ENOTCONN: "not connected",
    ECONNREFUSED: "connection refused", ELOOP: "symbolic link loop", ENAMETOOLONG: "file name too long", EHOSTDOWN: "host down",
    EHOSTUNREACH: "host unreachable", ENOTEMPTY: "directory not empty", EUSERS: "too many users", EDQUOT: "disk quota exceeded",
    ESTALE: "stale NFS file handle", ENOLCK: "no locks available", ENOSYS: "system call not available",
]

private let temporary: Set<Int32> = [
    EINTR, ENOMEM, ETXTBSY, EIO, ETIMEDOUT, EAGAIN, EDEADLK, EBUSY, ENFILE, EMFILE, EFBIG, ENOSPC, ENETDOWN, ENETUNREACH, ENETRESET,
    ECONNABORTED, ECONNRESET, ENOBUFS, ETOOMANYREFS, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EUSERS, EDQUOT, ESTALE, ENOLCK,
]
