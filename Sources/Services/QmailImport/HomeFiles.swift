private import Bytes
private import Glibc
internal import Posix

/// Copies qmail's files of configuration: those of `control`, `users` and `alias` that we lack. What is there and different stays, unless it is to
/// be overwritten.
struct HomeFiles {
    /// qmail's home.
    let source: String
    let isDryRun: Bool
    let overwrites: Bool
    let report: ImportReport

    private static let maxBytes = 1 << 30

    func copyAll() throws(SystemError) {
        try copy("control", reads: { KnownFiles.control.contains($0.text) }, takes: { _ in true })
        try copy("users", reads: { KnownFiles.users.contains($0.text) }, takes: { _ in true })
        // Mail, lists and programs that lie there are alias's own, as homes are their users'.
        try copy("alias", reads: { _ in true }, takes: { $0.starts(with: Array(".qmail".utf8)) })
    }

    private func copy(_ folder: String, reads: ([UInt8]) -> Bool, takes: ([UInt8]) -> Bool) throws(SystemError) {
        guard let entries = try SourceFolder.list("\(source)/\(folder)") else { return report.add(.note, folder, "qmail has none") }
        if !isDryRun { try makeFolder(folder) }
        for entry in entries.sorted(by: { $0.name.lexicographicallyPrecedes($1.name) }) {
            let name = "\(folder)/\(logsafe(entry.name))"
            let isTaken = takes(entry.name) && (entry.kind == .file || entry.kind == .link)
            guard isTaken, let path = String(validating: entry.name, as: UTF8.self).map({ "\(folder)/\($0)" }) else {
                report.counts.left += 1
                report.add(.skipped, name, isTaken ? "its name is not UTF-8: copy it by hand" : "stays where it is")
                continue
            }
            let isLink = entry.kind == .link && folder == "alias"
            let outcome = try isLink ? copyLink(path) : copyFile(path, keepsOwner: folder == "alias")
            tell(outcome, name, isRead: reads(entry.name))
        }
        if !isDryRun { try syncFolder(folder) }
    }

    // MARK: One file

    private enum Outcome {
        case copied, same, kept, overwritten, unusable
    }

    private func tell(_ outcome: Outcome, _ name: String, isRead: Bool) {
        let unread = isRead ? "" : "; Martlet does not read it"
        let copied = isDryRun ? "would be copied" : "copied"
        switch outcome {
        case .copied:
            report.counts.copied += 1
            report.add(.note, name, "\(copied)\(unread)")
        case .overwritten:
            report.counts.copied += 1
            report.add(.note, name, "\(copied) over ours, which is different\(unread)")
        case .same: report.counts.same += 1
        case .kept:
            report.counts.kept += 1
            report.add(.skipped, name, "differs: ours stays (--overwrite takes qmail's)\(unread)")
        case .unusable:
            report.counts.left += 1
            report.add(.trouble, name, "cannot be read: not copied")
        }
    }

    private func copyFile(_ path: String, keepsOwner: Bool) throws(SystemError) -> Outcome {
        guard let found = HomeFiles.read("\(source)/\(path)", followsLinks: !keepsOwner) else { return .unusable }
        var outcome = Outcome.copied
        if let own = try readSmallFile(path, maxBytes: Self.maxBytes) {
            if own == found.bytes { return .same }
            guard overwrites else { return .kept }
            outcome = .overwritten
        }
        if isDryRun { return outcome }
        let new = "\(path).importing"
        // What an earlier run left, or somebody planted: alias may write in its folder.
        unlink(new)
        let file = try FileDescriptor.open(new, O_WRONLY | O_CREAT | O_EXCL)
        try HomeFiles.write(found.bytes, to: file, new)
        if keepsOwner, geteuid() == 0 { try check("chown", new) { fchown(file.raw, found.info.st_uid, found.info.st_gid) } }
        try check("chmod", new) { fchmod(file.raw, found.info.st_mode & 0o1777) }
        // Databases are compared with their sources by time.
        let times = [found.info.st_mtim, found.info.st_mtim]
        try check("utime", new) { futimens(file.raw, times) }
        try check("fsync", new) { fsync(file.raw) }
        try check("rename", path) { rename(new, path) }
        return outcome
    }

    /// Below alias links are kept as links: they point to files of lists.
    private func copyLink(_ path: String) throws(SystemError) -> Outcome {
        guard let target = HomeFiles.target("\(source)/\(path)") else { return .unusable }
        var outcome = Outcome.copied
        var info = stat()
        if lstat(path, &info) == 0 {
            if HomeFiles.target(path) == target { return .same }
            guard overwrites else { return .kept }
            outcome = .overwritten
        }
        if isDryRun { return outcome }
        let new = "\(path).importing"
        unlink(new)
        try withPath(target) { (target) throws(SystemError) in try check("symlink", new) { symlink(target, new) } }
        try check("rename", path) { rename(new, path) }
        return outcome
    }

    /// - Parameter followsLinks: not in a folder that others than root may write.
    private static func read(_ path: String, followsLinks: Bool) -> (bytes: [UInt8], info: stat)? {
        guard let file = try? FileDescriptor.open(path, O_RDONLY | O_NONBLOCK | (followsLinks ? 0 : O_NOFOLLOW)) else { return nil }
        var info = stat()
        // By the open file, which nobody can exchange any more.
        guard fstat(file.raw, &info) == 0, let bytes = try? readSmallFile("/proc/self/fd/\(file.raw)", maxBytes: maxBytes) else { return nil }
        return (bytes, info)
    }

    private static func target(_ path: String) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { readlink(path, $0.assumingMemoryBound(to: CChar.self), bytes.count) } ?? -1
        }
        return count > 0 ? Array(buffer[..<count]) : nil
    }

    private static func write(_ bytes: [UInt8], to file: borrowing FileDescriptor, _ path: String) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let raw = file.raw
            done += try check("write", path) { bytes.withUnsafeBytes { Glibc.write(raw, $0.baseAddress?.advanced(by: done), $0.count - done) } }
        }
    }

    private func makeFolder(_ path: String) throws(SystemError) {
        if mkdir(path, 0o755) < 0, errno != EEXIST { throw SystemError(call: "mkdir", subject: path, errno: errno) }
    }

    private func syncFolder(_ path: String) throws(SystemError) {
        let folder = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
        try check("fsync", path) { fsync(folder.raw) }
    }
}
