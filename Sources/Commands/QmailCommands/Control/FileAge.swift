private import Glibc

/// When a file was last written.
enum FileAge {
    /// Seconds since 1970; nil when there is no such file.
    static func of(_ path: String) -> Int? {
        var info = stat()
        return stat(path, &info) == 0 ? info.st_mtim.tv_sec : nil
    }
}
