private import Bytes
private import Glibc
private import Posix
private import Synchronization

/// Names of messages in a Maildir: `TIME.M<microseconds>P<pid>Q<number>.HOST`. The number makes many deliveries of one process and
/// microsecond distinct.
package enum UniqueName {
    private static let number = Atomic<UInt64>(0)
    private static let process = getpid()
    private static let host = escaped(hostName())

    package static func next() -> [UInt8] {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let count = number.add(1, ordering: .relaxed).newValue
        return Array("\(now.tv_sec).M\(now.tv_nsec / 1000)P\(process)Q\(count).".utf8) + host
    }

    /// A host name as part of a file name: `/` and `:` would have a meaning there.
    package static func escaped(_ host: some Collection<UInt8>) -> [UInt8] {
        host.flatMap { byte -> [UInt8] in
            switch byte {
            case ASCII.slash: Array("\\057".utf8)
            case ASCII.colon: Array("\\072".utf8)
            default: [byte]
            }
        }
    }

    private static func hostName() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 64)
        // The last byte stays NUL, whatever length the system's name has.
        buffer.withUnsafeMutableBytes { bytes in
            if let start = bytes.baseAddress { _ = gethostname(start, 63) }
        }
        let name = buffer.prefix { $0 != 0 }
        return name.isEmpty ? Array("localhost".utf8) : Array(name)
    }
}
