private import Glibc

/// How a child process ended.
package enum ChildEnd: Equatable, Sendable {
    case exited(Int32)
    case killed

    /// Waits for it.
    package init(of pid: Int32) throws(SystemError) {
        var status: Int32 = 0
        try check("wait") { waitpid(pid, &status, 0) }
        // As WIFEXITED and WEXITSTATUS have it.
        self = status & 0x7F == 0 ? .exited((status >> 8) & 0xFF) : .killed
    }
}
