internal import Accounts
private import Bytes
private import CPosix
private import Glibc
internal import Posix

/// The homes of mailboxes, `mailboxes/DOMAIN/USER` below the qmail home. The folders of domains are root's, so that no mailbox takes another's place,
/// and open to the mailboxes' group only: no modes that a mailbox may set, its own or another's, let anybody else in. Below, all is done with the rights of the mailboxes' account, so that nothing planted there leads root elsewhere.
struct MailboxFolders {
    let owner: MailboxOwner

    private static let root = AccountDirectory.mailboxes
    private static let parts = ["tmp", "new", "cur"]

    static func path(_ address: AccountAddress) -> String { "\(folder(address.domain))/\(address.localPart.text)" }
    private static func folder(_ domain: AccountDomain) -> String { "\(root)/\(domain.bytes.text)" }

    /// Makes the home with an empty Maildir, whole or not at all.
    /// - Parameter adopts: one that is there stays with its mail; else it must be empty.
    func make(_ address: AccountAddress, adopts: Bool) throws(AccountFailure) {
        let path = Self.path(address)
        do throws(SystemError) {
            try makeFolder(Self.root, 0o711)
            try makeFolder("\(Self.root)/\(AccountDirectory.forwardingHome)", 0o755)
            try makeFolder(Self.folder(address.domain), 0o710)
            guard try isThere(path) else { return try makeNew(path, in: Self.folder(address.domain)) }
        } catch { throw .trouble(error) }
        guard adopts || isEmpty(path) else { throw .folderInUse(path) }
        do throws(SystemError) { try complete(path) } catch { throw .trouble(error) }
    }

    private func isThere(_ path: String) throws(SystemError) -> Bool {
        var info = stat()
        guard lstat(path, &info) == 0 else {
            guard errno == ENOENT else { throw SystemError(call: "stat", subject: path, errno: errno) }
            return false
        }
        guard info.st_mode & S_IFMT == S_IFDIR, info.st_uid == owner.uid else { throw SystemError(call: "use", subject: path, errno: EPERM) }
        return true
    }

    private func makeNew(_ path: String, in folder: String) throws(SystemError) {
        let new = "\(folder)/.new"
        try remove(new)
        let maildir = "\(new)/\(AccountDirectory.maildir)"
        // From the leaves: what is given away is not touched again.
        for folder in [new, maildir] + Self.parts.map({ "\(maildir)/\($0)" }) { try check("mkdir", folder) { mkdir(folder, 0o700) } }
        for folder in Self.parts.map({ "\(maildir)/\($0)" }) + [maildir, new] {
            if geteuid() == 0 { try check("chown", folder) { lchown(folder, owner.uid, owner.gid) } }
        }
        try check("rename", path) { rename(new, path) }
    }

    /// One that is there already is made what it must be: a `chown -R` may have given it away.
    private func makeFolder(_ path: String, _ mode: mode_t) throws(SystemError) {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw SystemError(call: "mkdir", subject: path, errno: errno) }
        let folder = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        let raw = folder.raw
        if geteuid() == 0 { try check("chown", path) { fchown(raw, 0, owner.gid) } }
        try check("chmod", path) { fchmod(raw, mode) }
    }

    /// All that was made is on the disk: one call for any number.
    func sync() throws(AccountFailure) {
        do throws(SystemError) {
            let directory = try FileDescriptor.open(Self.root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            let raw = directory.raw
            try check("sync", Self.root) { martlet_sync_file_system(raw) }
        } catch { throw .trouble(error) }
    }

    /// Nothing but an empty Maildir: no mail, and no instructions of an earlier owner.
    private func isEmpty(_ path: String) -> Bool {
        let empty = try? owner.rights.use { () throws(SystemError) in
            let home = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            guard try names(in: home).allSatisfy({ $0.elementsEqual(AccountDirectory.maildir.utf8) }) else { return false }
            guard let maildir = try? FileDescriptor.open(AccountDirectory.maildir, in: home, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else { return true }
            for name in try names(in: maildir) {
                guard Self.parts.contains(name.text) else { return false }
                guard try names(in: try FileDescriptor.open(name, in: maildir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)).isEmpty else { return false }
            }
            return true
        }
        return empty ?? false
    }

    /// Makes what is missing of the Maildir.
    private func complete(_ path: String) throws(SystemError) {
        try owner.rights.use { () throws(SystemError) in
            let home = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            try makeFolder(AccountDirectory.maildir, in: home)
            let maildir = try FileDescriptor.open(AccountDirectory.maildir, in: home, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            for part in Self.parts { try makeFolder(part, in: maildir) }
        }
    }

    private func makeFolder(_ name: String, in folder: borrowing FileDescriptor) throws(SystemError) {
        let raw = folder.raw
        guard mkdirat(raw, name, 0o700) == 0 || errno == EEXIST else { throw SystemError(call: "mkdir", subject: name, errno: errno) }
    }

    // MARK: - The end of a mailbox

    /// Removes the home with all mail in it.
    func removeHome(of address: AccountAddress) throws(AccountFailure) {
        let removed = "\(Self.folder(address.domain))/.removed"
        do throws(SystemError) {
            try remove(removed)
            // Under its own name nobody finds half of it.
            guard rename(Self.path(address), removed) == 0 else {
                if errno == ENOENT { return }
                throw SystemError(call: "rename", subject: Self.path(address), errno: errno)
            }
            try remove(removed)
        } catch { throw .trouble(error) }
    }

    /// The folder of a domain that is gone, unless mail is left there.
    func removeFolder(of domain: AccountDomain) { rmdir(Self.folder(domain)) }

    /// More levels than any mail program makes.
    private static let maxDepth = 64

    /// A tree of the mailboxes' account; nothing when it is not there.
    private func remove(_ path: String) throws(SystemError) {
        var info = stat()
        guard lstat(path, &info) == 0 else { return }
        // One that was being made is still root's.
        let rights = info.st_uid == owner.uid ? owner.rights : Rights(uid: geteuid(), gid: getegid())
        try rights.use { () throws(SystemError) in
            try empty(try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), depth: 0)
        }
        try check("rmdir", path) { rmdir(path) }
    }

    private func empty(_ folder: borrowing FileDescriptor, depth: Int) throws(SystemError) {
        guard depth < Self.maxDepth else { throw SystemError(call: "remove", subject: "", errno: ELOOP) }
        let raw = folder.raw
        for name in try names(in: folder) {
            try withPath(name) { (name) throws(SystemError) in
                if unlinkat(raw, name, 0) == 0 || errno == ENOENT { return }
                guard errno == EISDIR || errno == EPERM else { throw SystemError(call: "unlink", subject: String(cString: name), errno: errno) }
                try empty(
                    FileDescriptor(owning: try check("open") { openat(raw, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }), depth: depth + 1
                )
                try check("rmdir", String(cString: name)) { unlinkat(raw, name, AT_REMOVEDIR) }
            }
        }
    }
}

/// Without `.` and `..`.
private func names(in folder: borrowing FileDescriptor) throws(SystemError) -> [[UInt8]] {
    let raw = folder.raw
    let copy = try check("open") { openat(raw, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard let directory = fdopendir(copy) else {
        close(copy)
        throw SystemError(call: "read", subject: "", errno: ENOMEM)
    }
    defer { closedir(directory) }
    var names: [[UInt8]] = []
    while true {
        errno = 0
        guard let entry = readdir(directory) else { break }
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
        if name != [ASCII.dot], name != [ASCII.dot, ASCII.dot] { names.append(name) }
    }
    guard errno == 0 else { throw SystemError(call: "read", subject: "", errno: errno) }
    return names
}
