import Glibc
import TemporaryFolder

/// A qmail queue built by hand, with conf-split 3 (qmail §4.1).
final class QueueFolder {
    private let folder = TemporaryFolder()
    static let split = 3

    init() {
        for kind in ["mess", "info", "local", "remote"] {
            folder.makeFolder(kind)
            for part in 0..<Self.split { folder.makeFolder("\(kind)/\(part)") }
        }
        for kind in ["intd", "todo", "bounce"] { folder.makeFolder(kind) }
    }

    var path: String { folder.path }

    /// - Parameters:
    ///   - kind: its folder.
    ///   - time: of the last modification, seconds since 1970.
    func write(_ kind: String, _ id: UInt64, _ text: String, time: Int = 1_700_000_000, in part: Int? = nil) {
        let isSplit = !["intd", "todo", "bounce"].contains(kind)
        let name = isSplit ? "\(kind)/\(part ?? Int(id) % Self.split)/\(id)" : "\(kind)/\(id)"
        folder.write(name, text)
        let times = [timespec(tv_sec: time, tv_nsec: 5), timespec(tv_sec: time, tv_nsec: 5)]
        utimensat(AT_FDCWD, "\(path)/\(name)", times, 0)
    }

    /// By its path below the queue.
    func write(file: String, _ text: String) { folder.write(file, text) }

    func content(_ id: UInt64, size: Int = 100) {
        write("mess", id, "Received: (qmail \(id) invoked by uid 7); x\nSubject: \(id)\n\n" + String(repeating: "x", count: size))
    }
}
