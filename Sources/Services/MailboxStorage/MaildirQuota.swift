private import Bytes
private import Glibc
private import Posix

/// The quota of a Maildir with its folders, counted in its `maildirsize` as all programs that know Maildir++ do. Two that look at once may go beyond it by
/// what they have in hand.
package struct MaildirQuota {
    private let limits: MaildirLimits
    private let maildir: Maildir

    private static let file = "maildirsize"
    /// Sums of this age are not believed when they say that there is no room, in seconds.
    private static let staleSeconds = 15 * 60

    package init(_ limits: MaildirLimits, of maildir: Maildir) {
        self.limits = limits
        self.maildir = maildir
    }

    /// The Maildir that the folder at `path` belongs to: of `./Maildir/.name/` it is `./Maildir/`; nil for what is no folder.
    package static func root(of path: [UInt8]) -> [UInt8]? {
        let parts = path.split(separator: ASCII.slash)
        guard parts.count > 2, let folder = parts.last, folder.first == ASCII.dot, folder.count > 1 else { return nil }
        return Array(path.prefix(folder.startIndex))
    }

    func hasRoom(for size: Int) throws(MaildirFailure) -> Bool {
        do throws(SystemError) {
            guard let (sizes, age) = try read(), sizes.limits == limits else { return limits.haveRoom(for: size, beside: try countAnew()) }
            if limits.haveRoom(for: size, beside: sizes.usage) { return true }
            // Mail may have gone that nobody has taken off.
            guard sizes.lines > 1 || age > Self.staleSeconds else { return false }
            return limits.haveRoom(for: size, beside: try countAnew())
        } catch { throw .trouble }
    }

    /// A sum that gets lost is found when it matters.
    func add(bytes: Int, messages: Int) {
        guard let file = try? FileDescriptor.open(Self.file, in: maildir.root, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK) else { return }
        try? writeAll(Array("\(bytes) \(messages)\n".utf8), to: file.raw)
    }

    private func read() throws(SystemError) -> (MaildirSizes, age: Int)? {
        let file: FileDescriptor
        do throws(SystemError) { file = try FileDescriptor.open(Self.file, in: maildir.root, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) } catch {
            guard error.errno == ENOENT || error.errno == ELOOP else { throw error }
            return nil
        }
        let raw = file.raw
        var info = stat()
        try check("stat") { fstat(raw, &info) }
        guard info.st_mode & S_IFMT == S_IFREG, info.st_size <= MaildirSizes.maxBytes else { return nil }
        var text = [UInt8](repeating: 0, count: MaildirSizes.maxBytes + 1)
        let count = try check("read") { text.withUnsafeMutableBytes { Glibc.read(raw, $0.baseAddress, $0.count) } }
        return MaildirSizes(Array(text.prefix(count))).map { ($0, Int(unixTime()) - info.st_mtim.tv_sec) }
    }

    // MARK: - Counting

    private func countAnew() throws(SystemError) -> MaildirUsage {
        var usage = MaildirUsage()
        try count(in: maildir.root, &usage)
        for name in try names(in: maildir.root, at: ".") where name.first == ASCII.dot && name.count > 1 && !name.elementsEqual(".Trash".utf8) {
            guard name != [ASCII.dot, ASCII.dot], let folder = try? FileDescriptor.open(name, in: maildir.root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            else {
                continue
            }
            try count(in: folder, &usage)
        }
        try store(usage)
        return usage
    }

    private func count(in folder: borrowing FileDescriptor, _ usage: inout MaildirUsage) throws(SystemError) {
        for part in ["new", "cur"] {
            for name in try names(in: folder, at: part) where name.first != ASCII.dot && !MaildirSizes.isThrownAway(name) {
                guard let size = MaildirSizes.size(inName: name) ?? size(of: Array("\(part)/".utf8) + name, in: folder) else { continue }
                usage.add(bytes: size, messages: 1)
            }
        }
    }

    /// Nil when it is gone.
    private func size(of path: [UInt8], in folder: borrowing FileDescriptor) -> Int64? {
        let raw = folder.raw
        var info = stat()
        let found = try? withPath(path) { fstatat(raw, $0, &info, AT_SYMLINK_NOFOLLOW) }
        return found == 0 && info.st_mode & S_IFMT == S_IFREG ? Int64(info.st_size) : nil
    }

    private func names(in folder: borrowing FileDescriptor, at path: String) throws(SystemError) -> [[UInt8]] {
        let parent = folder.raw
        let raw = openat(parent, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard raw >= 0, let directory = fdopendir(raw) else {
            let code = errno
            if raw >= 0 { close(raw) }
            if code == ENOENT || code == ENOTDIR || code == ELOOP { return [] }
            throw SystemError(call: "read", subject: path, errno: code)
        }
        defer { closedir(directory) }
        var names: [[UInt8]] = []
        while let entry = readdir(directory) { names.append(withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }) }
        return names
    }

    private func store(_ usage: MaildirUsage) throws(SystemError) {
        let name = UniqueName.next()
        let text = limits.notation + Array("\n\(usage.bytes) \(usage.messages)\n".utf8)
        let (from, to) = (maildir.tmp.raw, maildir.root.raw)
        do {
            let file = try FileDescriptor.open(name, in: maildir.tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW)
            try writeAll(text, to: file.raw)
        }
        try withPath(name) { (name) throws(SystemError) in try check("rename") { renameat(from, name, to, Self.file) } }
    }
}
