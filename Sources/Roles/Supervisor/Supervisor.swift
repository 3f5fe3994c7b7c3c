private import Glibc
private import Posix
private import RoleContext

/// `martletd` itself: binds every socket, starts every role as its own user, keeps them running, stops them in order.
///
/// It must not read the network, mail, or a frame. What holds: one household a home; everything starts or nothing; sockets outlive the roles that
/// answer on them; an orderly stop ends within 30 seconds.
package enum Supervisor {
    /// Descriptors a role may have open, where the system allows it.
    static let descriptorLimit: UInt64 = 65_536

    /// Below the home; lines are added at its end, so it may be cut or copied away while in use.
    static let logFile = "log/current"

    /// - Parameters:
    ///   - home: the qmail home.
    ///   - logsToFile: the lines of all processes go to ``logFile`` instead of descriptor 2.
    /// - Returns: the exit code: 0 after an orderly stop, 1 when it cannot start.
    package static func run(home: String, logsToFile: Bool = false) -> Int32 {
        do throws(StartFailure) {
            return try start(home, logsToFile)
        } catch {
            log(error.line)
            return 1
        }
    }

    private static func start(_ path: String, _ logsToFile: Bool) throws(StartFailure) -> Int32 {
        keepStandardDescriptorsOpen()
        // Descriptor 2 may be a pipe whose reader dies: mail goes on without a log.
        signal(SIGPIPE, SIG_IGN)
        umask(0o077)
        let accounts = try findAccounts()
        let home = try Home(path, accounts)
        if logsToFile { try openLog() }
        let doors = try DoorSockets(isPrivileged: accounts.isPrivileged)
        let boundaries = try BoundarySockets(accounts)
        let workshop = try Workshop(home, accounts, boundaries, doors)
        let household = try orMend("see that reason") { () throws(SystemError) in try Household(workshop.charges()) }
        try household.start()
        log("martletd: ready: " + (doors.sockets.isEmpty ? "no door is open: control/smtplisten is empty" : doors.shown))
        return withExtendedLifetime(home) { household.run() }
    }

    /// What is started from here on inherits it. The working directory is the home.
    private static func openLog() throws(StartFailure) {
        if mkdir("log", 0o755) < 0, errno != EEXIST { throw StartFailure("log: \(errorText(errno))", mend: "make the folder log in the home") }
        let file = try orMend("let the account write \(logFile)") { () throws(SystemError) in
            try FileDescriptor.open(logFile, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, mode: 0o640)
        }
        dup2(file.raw, STDERR_FILENO)
    }

    /// Sockets must never become 0, 1 or 2, where children expect other things.
    private static func keepStandardDescriptorsOpen() {
        while true {
            let descriptor = open("/dev/null", O_RDWR | O_CLOEXEC)
            guard descriptor >= 0, descriptor <= 2 else {
                close(descriptor)
                return
            }
        }
    }

    private static func findAccounts() throws(StartFailure) -> Accounts {
        do {
            return try Accounts.find()
        } catch {
            let create = "useradd --system --gid nofiles --no-create-home --home-dir / --shell /usr/sbin/nologin \(error.name)"
            throw StartFailure("account \(error.name) does not exist", mend: "run `make install`, or: \(create)")
        }
    }
}
