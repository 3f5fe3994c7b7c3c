private import CPosix
private import Glibc
private import Posix

/// What every role's process does before the role itself begins, so that roles need not know of it.
package enum RoleProcess {
    /// A role that has not ended this long after the supervisor's death is ended.
    package static let orphanSeconds: UInt32 = 30

    /// Names the process, gives up gaining privileges for good, and ends the role in order when the supervisor dies.
    /// Call first in the process, before any other thread is there.
    package static func enter(_ context: RoleContext) {
        martlet_name_process("martlet-" + context.role)
        _ = martlet_set_no_new_privileges()
        // The supervisor passes these to all; a role that has no use for one is not ended by it. A role that blocks them and reads them from a
        // signalfd still gets them.
        for number in [SIGHUP, SIGALRM, SIGPIPE] { signal(number, SIG_IGN) }
        watchSupervisor()
    }

    /// PR_SET_PDEATHSIG would be lost at the change of identity and can miss a death before it is set; a pipe whose only writing end is the
    /// supervisor's can do neither.
    private static func watchSupervisor() {
        // The thread inherits the block: signals for the role must never find this thread as the one that takes them.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, &before)
        _ = Thread("supervised") {
            waitForHangUp(STDIN_FILENO)
            kill(getpid(), SIGTERM)
            sleep(orphanSeconds)
            _exit(1)
        }
        pthread_sigmask(SIG_SETMASK, &before, nil)
    }

    private static func waitForHangUp(_ descriptor: Int32) {
        var byte: UInt8 = 0
        while true {
            let count = read(descriptor, &byte, 1)
            if count == 0 || (count < 0 && errno != EINTR) { return }
        }
    }
}
