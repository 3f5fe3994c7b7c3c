/// When a bounce to somebody elsewhere leaves for the first time, so that nobody is flooded with answers to mail that others sent in his name (hardening.md
/// "BACKSCATTER"). The first of an hour leave at once; what comes faster than the rate is spread over the hours that follow. None is lost.
///
/// Pure: it knows addresses as bytes and times in seconds since 1970. What it remembers is bounded, and gone after a restart.
package struct BouncePace {
    /// Bounces an hour to one address; 0 = no limit.
    private let rate: UInt64
    /// No bounce waits longer.
    private let longestWait: UInt64
    /// By address: 3600 times the second at which all that left or waits would have left at the rate.
    private var spent: [[UInt8]: UInt64] = [:]

    package static let maxAddresses = 10_000
    package static let maxRate: UInt64 = 1_000_000
    private static let hour: UInt64 = 3600

    package init(rate: UInt64, longestWait: UInt64) {
        self.rate = min(rate, Self.maxRate)
        // Ten years: whatever a file says, the sums below stay within bounds.
        self.longestWait = min(longestWait, 315_360_000)
    }

    /// One more bounce is made.
    /// - Returns: when it is due.
    package mutating func due(_ address: [UInt8], now: UInt64) -> UInt64 {
        guard rate > 0, now < UInt64.max / (2 * Self.maxRate) else { return now }
        let start = now * rate
        let before = max(spent[address] ?? 0, start)
        // A clock that was set back must not make a debt of years.
        let after = min(before, start + (longestWait + Self.hour) * rate) + Self.hour
        if spent[address] == nil { makeRoom(now) }
        spent[address] = after
        let allowed = start + Self.hour * rate
        return after <= allowed ? now : now + min((after - allowed) / rate + 1, longestWait)
    }

    /// Forgets who has nothing to wait for, else who has least.
    private mutating func makeRoom(_ now: UInt64) {
        guard spent.count >= Self.maxAddresses else { return }
        spent = spent.filter { $0.value > now * rate }
        guard spent.count >= Self.maxAddresses, let least = spent.min(by: { $0.value < $1.value }) else { return }
        spent[least.key] = nil
    }
}
