package import Addresses
private import Glibc
package import Posix

/// The ``TimeoutTable`` in the file that all who connect share: role remote, qmail-remote, qmail-tcpto and qmail-tcpok
/// (docs/decisions/0012-tcpto.md). Where there is no file, what this process has seen is kept in memory.
///
/// Nobody waits here: anyone who may read the file could hold its lock. Then one time-out more or less is not written down.
package struct TimeoutFile {
    /// Relative to the qmail home. The supervisor makes it, empty at each start.
    package static let path = "run/tcpto"

    private let path: String
    private var own = TimeoutTable()

    package init(_ path: String = TimeoutFile.path) { self.path = path }

    package func skips(_ address: IPAddress, now: UInt64, jitter: UInt64) -> Bool { table.skips(address, now: now, jitter: jitter) }

    package mutating func timedOut(_ address: IPAddress, now: UInt64) { update { $0.timedOut(address, now: now) } }

    /// It answered, be it with a refusal.
    package mutating func answered(_ address: IPAddress) {
        // Nearly always there is nothing to say, and no lock to take.
        var copy = table
        if copy.answered(address) != nil { update { $0.answered(address) } }
    }

    /// The table as it is now.
    package var table: TimeoutTable {
        guard let file = try? FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) else { return own }
        return (try? TimeoutFile.read(file)) ?? own
    }

    /// - Returns: what an open file holds.
    package static func read(_ file: borrowing FileDescriptor) throws(SystemError) -> TimeoutTable {
        let raw = file.raw
        var bytes = [UInt8](repeating: 0, count: TimeoutTable.byteCount)
        let count = try check("read") { bytes.withUnsafeMutableBytes { pread(raw, $0.baseAddress, $0.count, 0) } }
        return TimeoutTable(Array(bytes.prefix(count)))
    }

    private mutating func update(_ change: (inout TimeoutTable) -> Range<Int>?) {
        guard let file = try? FileDescriptor.open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK) else {
            _ = change(&own)
            return
        }
        guard flock(file.raw, LOCK_EX | LOCK_NB) == 0, var table = try? TimeoutFile.read(file), let changed = change(&table) else { return }
        _ = table.bytes[changed].withUnsafeBytes { pwrite(file.raw, $0.baseAddress, $0.count, off_t(changed.lowerBound)) }
    }
}
