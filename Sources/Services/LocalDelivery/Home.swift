private import CPosix
private import Glibc
internal import Posix

/// A user's home directory, held open: all of a delivery happens relative to it, whatever is renamed meanwhile.
final class Home: Sendable {
    let path: [UInt8]
    let directory: FileDescriptor
    private let device: UInt64
    private let inode: UInt64

    /// Modes that a home and a `.qmail` file must not have: writable by all (conf-patrn, spec-qmail §1.3).
    static let forbiddenMode: UInt32 = 0o002

    init(_ path: [UInt8]) throws(Undeliverable) {
        self.path = path
        var info = stat()
        do throws(SystemError) {
            directory = try FileDescriptor.open(path, martlet_o_path | O_DIRECTORY)
            let raw = directory.raw
            try check("stat") { fstat(raw, &info) }
        } catch {
            throw .trouble("Unable to switch to", path, error.reason, "4.3.0")
        }
        device = UInt64(info.st_dev)
        inode = UInt64(info.st_ino)
    }

    fileprivate func isStill(_ info: stat) -> Bool { device == UInt64(info.st_dev) && inode == UInt64(info.st_ino) }
}

/// The home of the deliveries of one worker, looked at anew for each (spec-qmail §7.2).
final class HomeKeeper: Sendable {
    private let kept = Monitor<Home?>(nil)

    /// The home at `path` when its mode allows delivery.
    /// - Returns: with it, whether it is sticky: its user is editing, and nothing is to be delivered now.
    func home(_ path: [UInt8]) throws(Undeliverable) -> (home: Home, isSticky: Bool) {
        var info = stat()
        do throws(SystemError) {
            try withPath(path) { (path) throws(SystemError) in try check("stat") { stat(path, &info) } }
        } catch {
            throw .trouble("Unable to switch to", path, error.reason, "4.3.0")
        }
        if info.st_mode & Home.forbiddenMode != 0 { throw .deferred("Uh-oh: home directory is writable. (#4.7.0)\n") }
        let isSticky = info.st_mode & S_ISVTX != 0
        if let known = kept.with({ $0 }), known.path == path, known.isStill(info) { return (known, isSticky) }
        let opened = try Home(path)
        kept.with { $0 = opened }
        return (opened, isSticky)
    }
}
