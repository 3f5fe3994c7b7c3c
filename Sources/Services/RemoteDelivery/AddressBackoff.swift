package import Addresses

/// Remembers addresses that did not answer, so that deliveries do not wait for each of them again: qmail's tcpto (spec-qmail §9.3), in memory.
package struct AddressBackoff {
    private struct Entry {
        let address: IPAddress
        var failures: UInt64
        var time: UInt64
    }

    private static let capacity = 64
    /// A time-out so soon after the last one counts as the same.
    private static let sameIncident: UInt64 = 120
    private static let maxFailures: UInt64 = 10
    private static let skippedFrom: UInt64 = 2
    private var entries: [Entry] = []

    package init() {}

    /// - Parameters:
    ///   - now: in seconds.
    ///   - jitter: any number; spreads the end of the wait over half an hour.
    package func skips(_ address: IPAddress, now: UInt64, jitter: UInt64) -> Bool {
        guard let entry = entries.first(where: { $0.address == address }), entry.failures >= Self.skippedFrom, now >= entry.time else { return false }
        return now - entry.time < (60 + jitter % 32) * 64
    }

    package mutating func timedOut(_ address: IPAddress, now: UInt64) {
        if let index = entries.firstIndex(where: { $0.address == address }) {
            let isSame = entries[index].failures > 0 && now < entries[index].time + Self.sameIncident
            guard !isSame else { return }
            entries[index].failures = min(entries[index].failures + 1, Self.maxFailures)
            entries[index].time = now
            return
        }
        makeRoom()
        entries.append(Entry(address: address, failures: 1, time: now))
    }

    /// It answered, be it with a refusal.
    package mutating func answered(_ address: IPAddress) { entries.removeAll { $0.address == address } }

    private mutating func makeRoom() {
        guard entries.count >= Self.capacity,
            let index = entries.indices.min(by: { weight(entries[$0]) < weight(entries[$1]) })
        else { return }
        entries.remove(at: index)
    }

    private func weight(_ entry: Entry) -> UInt64 { entry.time + entry.failures * 1024 }
}
