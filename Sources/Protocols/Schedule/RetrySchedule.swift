package import Addresses

/// When a channel of a message is tried again: qmail's formula (spec-qmail §9.1). Quick at first, then ever more slowly: for local mail after
/// 100, 400, 900 … seconds, for remote mail after 400, 1600, 3600 … seconds.
package enum RetrySchedule {
    /// - Parameters:
    ///   - birth: when the message was accepted, seconds since 1970.
    ///   - now: when the pass begins.
    package static func next(_ channel: Channel, birth: UInt64, now: UInt64) -> UInt64 {
        // Beyond a century the clock is wrong; this keeps the square within bounds.
        let age = now > birth ? min(now - birth, 3_200_000_000) : 0
        let step = squareRoot(age) + (channel == .local ? 10 : 20)
        return birth.addingReportingOverflow(step * step).partialValue
    }

    /// Rounded down.
    private static func squareRoot(_ number: UInt64) -> UInt64 {
        var low: UInt64 = 0
        var high: UInt64 = 1 << 17
        while low + 1 < high {
            let middle = (low + high) / 2
            if middle * middle <= number { low = middle } else { high = middle }
        }
        return low
    }
}
