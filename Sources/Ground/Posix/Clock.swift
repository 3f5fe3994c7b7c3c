private import CPosix
private import Glibc

/// Seconds since 1970, UTC: for dates, births and next attempts. Machines take it as an input.
package func unixTime() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return UInt64(max(0, now.tv_sec))
}

/// Nanoseconds that only grow, whatever happens to the wall clock: for deadlines and intervals.
package func monotonicNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
}

/// Bytes that nobody can guess. The kernel's source never fails once the machine has started.
package func randomBytes(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
        let got = bytes.withUnsafeMutableBytes { getrandom($0.baseAddress?.advanced(by: done), $0.count - done, 0) }
        if got > 0 { done += got } else { precondition(errno == EINTR, "the kernel gives no random bytes") }
    }
    return bytes
}
