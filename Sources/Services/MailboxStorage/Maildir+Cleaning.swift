private import Glibc
private import Posix

extension Maildir {
    /// A file in `tmp/` that nobody touched for so long belongs to a delivery that died (spec-qmail §1.4), in seconds.
    package static let staleSeconds = 36 * 60 * 60
    /// Entries looked at in one go: cleaning must not hold up mail.
    static let maxEntriesCleaned = 10_000

    /// Removes what dead deliveries left in `tmp/`. Trouble is left for another time.
    package func clean(now: Int) {
        let raw = openat(tmp.raw, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard raw >= 0 else { return }
        guard let directory = fdopendir(raw) else {
            close(raw)
            return
        }
        defer { closedir(directory) }
        for _ in 0..<Self.maxEntriesCleaned {
            guard let entry = readdir(directory) else { return }
            withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: entry.pointee.d_name)) {
                    removeIfStale($0, now: now)
                }
            }
        }
    }

    private func removeIfStale(_ name: UnsafePointer<CChar>, now: Int) {
        var info = stat()
        guard fstatat(tmp.raw, name, &info, AT_SYMLINK_NOFOLLOW) == 0, info.st_mode & S_IFMT == S_IFREG else { return }
        let touched = max(info.st_atim.tv_sec, info.st_mtim.tv_sec)
        if now - touched > Self.staleSeconds { unlinkat(tmp.raw, name, 0) }
    }
}
