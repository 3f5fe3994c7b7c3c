private import Bytes
private import ControlFiles
internal import Glibc
internal import Posix
internal import RoleContext

/// The qmail home as the supervisor needs it: entered, named, locked, with the directories of its sockets.
struct Home {
    /// Absolute. The working directory is this one from now on.
    let path: String
    private let lock: FileDescriptorBox

    /// Keeps the lock's descriptor open for the life of the process.
    private final class FileDescriptorBox {
        let descriptor: FileDescriptor
        init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
    }

    static let lockPath = "run/martletd.lock"
    /// Where role remote remembers who did not answer; qmail-rspawn too forgets at its start (spec-qmail §9.3).
    private static let timeoutsPath = "run/tcpto"

    init(_ path: String, _ accounts: Accounts) throws(StartFailure) {
        try Self.enter(path)
        self.path = Self.workingDirectory() ?? path
        try Self.requireName()
        let mend = accounts.isPrivileged ? "the home must be root's" : "let the account that starts martletd own \(path)"
        lock = try orMend(mend) { () throws(SystemError) in
            try makeDirectory("run", mode: 0o755)
            try makeDirectoryIfMissing("queue", mode: 0o700, owner: accounts["qmailq"])
            return FileDescriptorBox(try FileDescriptor.open(Self.lockPath, O_RDONLY | O_CREAT | O_NOFOLLOW, mode: 0o644))
        }
        try takeLock()
        try orMend(mend) { () throws(SystemError) in try makeEmptyFile(Self.timeoutsPath, owner: accounts["qmailr"]) }
    }

    private static func enter(_ path: String) throws(StartFailure) {
        do throws(SystemError) {
            try check("enter", path) { chdir(path) }
        } catch {
            let mend = error.errno == EACCES ? "let this account enter it and every directory above it" : "make it with `make install`"
            throw StartFailure(error, mend: mend + ", or name another: martletd HOME")
        }
    }

    private static func workingDirectory() -> String? {
        guard let text = getcwd(nil, 0) else { return nil }
        defer { free(text) }
        return String(cString: text)
    }

    private static func requireName() throws(StartFailure) {
        let mend = "write this host's full name into control/me"
        let name = try orMend(mend) { () throws(SystemError) in try ControlDirectory().line("me") }
        guard name?.isEmpty == false else { throw StartFailure("control/me is missing or empty", mend: mend) }
    }

    /// For the roles, which hold it too.
    var lockDescriptor: Int32 { lock.descriptor.raw }

    /// One supervisor a home. The file holds its process number, for people and scripts.
    private func takeLock() throws(StartFailure) {
        try waitForOrphans()
        // The roles inherit the lock, not the right to write a number that somebody may kill.
        let file = try orMend("let the account that starts martletd write \(Self.lockPath)") { () throws(SystemError) in
            try FileDescriptor.open(Self.lockPath, O_WRONLY | O_TRUNC | O_NOFOLLOW)
        }
        let text = Array("\(getpid())\n".utf8)
        _ = write(file.raw, text, text.count)
    }

    /// Roles whose supervisor was killed end by themselves within this time; until then they hold the lock, the sockets and the queue.
    private static let orphanSeconds = Int(RoleProcess.orphanSeconds) + 5

    private func waitForOrphans() throws(StartFailure) {
        for tenth in 0..<Self.orphanSeconds * 10 {
            if flock(lockDescriptor, LOCK_EX | LOCK_NB) == 0 { return }
            guard let holder = holder(), kill(holder, 0) != 0, errno == ESRCH else { break }
            if tenth == 0 { log("martletd: waiting for the roles of pid \(holder), which died, to end") }
            usleep(100_000)
        }
        throw StartFailure("another martletd runs in \(path)", mend: "stop it first: kill $(cat \(path)/\(Self.lockPath))")
    }

    private func holder() -> Int32? {
        guard let text = try? readSmallFile(Self.lockPath, maxBytes: 64), let number = parseLeadingDecimal(text) else { return nil }
        return Int32(exactly: number)
    }
}

/// A directory of ours: made if missing; owner, group and mode set in any case.
func makeDirectory(_ path: String, mode: mode_t, group: gid_t? = nil) throws(SystemError) {
    if mkdir(path, mode) != 0, errno != EEXIST { throw SystemError(call: "mkdir", subject: path, errno: errno) }
    let directory = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    if let group { try check("chown", path) { fchown(directory.raw, 0, group) } }
    try check("chmod", path) { fchmod(directory.raw, mode) }
}

/// One that holds a role's own data: an administrator's choice of mode stays.
private func makeDirectoryIfMissing(_ path: String, mode: mode_t, owner: Accounts.Account) throws(SystemError) {
    guard mkdir(path, mode) == 0 else {
        if errno == EEXIST { return }
        throw SystemError(call: "mkdir", subject: path, errno: errno)
    }
    if geteuid() == 0 { try check("chown", path) { chown(path, owner.uid, owner.gid) } }
}

/// A file of a role's own in a directory that is not, without content.
private func makeEmptyFile(_ path: String, owner: Accounts.Account) throws(SystemError) {
    let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o644)
    if geteuid() == 0 { try check("chown", path) { fchown(file.raw, owner.uid, owner.gid) } }
    try check("chmod", path) { fchmod(file.raw, 0o644) }
}
