import Schedule
import Testing

/// hardening.md "BACKSCATTER": how long each of so many bounces waits.
@Suite struct BouncePaceTests {
    private let victim = Array("victim@far.example".utf8)
    private let day: UInt64 = 86_400

    private func waits(_ pace: inout BouncePace, _ address: [UInt8], _ count: Int, at now: UInt64) -> [UInt64] {
        (0..<count).map { _ in pace.due(address, now: now) - now }
    }

    /// Rate an hour, bounces made at these seconds, waits.
    @Test(
        arguments: [
            (2, [0, 0, 0, 0], [0, 0, 1801, 3601]), (2, [0, 0, 1800, 3600], [0, 0, 0, 0]), (2, [0, 0, 900], [0, 0, 901]),
            (2, [0, 7200, 7200, 7200], [0, 0, 0, 1801]), (3600, [0, 0, 0], [0, 0, 0]), (0, [0, 0, 0], [0, 0, 0]), (1, [0, 0, 0], [0, 3601, 7201]),
        ] as [(UInt64, [UInt64], [UInt64])])
    func theRestIsSpread(_ rate: UInt64, _ times: [UInt64], _ waits: [UInt64]) {
        var pace = BouncePace(rate: rate, longestWait: day)
        #expect(times.map { pace.due(victim, now: 1_000_000 + $0) - 1_000_000 - $0 } == waits)
    }

    @Test func addressesDoNotWaitForEachOther() {
        var pace = BouncePace(rate: 1, longestWait: day)
        #expect(waits(&pace, victim, 2, at: 5000) == [0, 3601])
        #expect(waits(&pace, Array("other@far.example".utf8), 1, at: 5000) == [0])
    }

    @Test func nobodyWaitsLongerThanTheLongest() {
        var pace = BouncePace(rate: 1, longestWait: day)
        #expect(waits(&pace, victim, 1000, at: 5000).last == day)
        // And the debt is not longer either.
        #expect(pace.due(victim, now: 5000 + 2 * day + 7200) == 5000 + 2 * day + 7200)
    }

    @Test func whoIsFloodedIsRemembered() {
        var pace = BouncePace(rate: 1, longestWait: day)
        _ = waits(&pace, victim, 3, at: 5000)
        for number in 0..<(2 * BouncePace.maxAddresses) { _ = pace.due(Array("forged\(number)@far.example".utf8), now: 5000) }
        #expect(waits(&pace, victim, 1, at: 5000) == [10801])
    }

    @Test func wildNumbersDoNotTrap() {
        var pace = BouncePace(rate: .max, longestWait: .max)
        for now in [0, 1, 1_000_000, .max - 1, .max] as [UInt64] { #expect(pace.due(victim, now: now) == now) }
        var slow = BouncePace(rate: 1, longestWait: .max)
        for now in [9_000_000_000_000, 0, 1, 5] as [UInt64] { #expect(slow.due(victim, now: now) >= now) }
    }
}
