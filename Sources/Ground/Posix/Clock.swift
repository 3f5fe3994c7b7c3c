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
