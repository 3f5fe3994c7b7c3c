import Addresses
import Bytes
import Glibc
import Posix
import RemoteDelivery
import TemporaryFolder
import Testing

private func address(_ text: String) throws -> IPAddress { try #require(IPLiteral.parse(Array(text.utf8)[...])) }

/// spec-qmail §9.3.
@Suite struct TimeoutTableTests {
    @Test(arguments: ["192.0.2.1", "2001:db8::1"]) func skipsAfterTwoIncidents(_ text: String) throws {
        let address = try address(text)
        var table = TimeoutTable()
        #expect(table.timedOut(address, now: 1000) != nil && !table.skips(address, now: 1000, jitter: 0))
        #expect(table.timedOut(address, now: 1119) == nil && !table.skips(address, now: 1119, jitter: 0), "the same incident")
        #expect(table.timedOut(address, now: 1120) != nil && table.skips(address, now: 1120, jitter: 0))
        #expect(table.skips(address, now: 1120 + 3839, jitter: 32))
        #expect(!table.skips(address, now: 1120 + 3840, jitter: 32))
        #expect(table.skips(address, now: 1120 + 5823, jitter: 31))
        #expect(!table.skips(address, now: 1119, jitter: 0), "a clock that was set back hides nobody")
        #expect(table.answered(address) != nil && !table.skips(address, now: 1120, jitter: 0) && table.entries.isEmpty)
        #expect(table.answered(address) == nil, "nothing to say twice")
    }

    @Test func countsToTen() throws {
        let address = try address("192.0.2.1")
        var table = TimeoutTable()
        for incident in 1...15 { _ = table.timedOut(address, now: UInt64(incident) * 1000) }
        #expect(table.entries == [TimeoutTable(table.bytes).entries[0]] && table.entries[0].count == 10 && table.entries[0].time == 15_000)
    }

    /// A new one takes a free place, else that of the smallest time + count·1024.
    @Test func remembersSixtyFourOfEachFamily() throws {
        var table = TimeoutTable()
        let many = try (0..<65).map { try address("10.0.0.\($0)") }
        for time in [UInt64(1000), 2000] { for address in many[..<64] { _ = table.timedOut(address, now: time) } }
        _ = table.timedOut(many[7], now: 2500)
        _ = table.timedOut(try address("2001:db8::1"), now: 2600)
        #expect(table.entries.count == 65)
        _ = table.timedOut(many[64], now: 5000)
        #expect(table.entries.map(\.address).contains(many[7]) && !table.entries.map(\.address).contains(many[0]))
        #expect(table.entries.count == 65 && !table.skips(many[64], now: 5000, jitter: 0))
    }

    /// The first 1024 bytes are qmail's: address, count at 4, time at 8, little-endian.
    @Test func bytesAreThoseOfQmail() throws {
        var record = [UInt8](repeating: 0, count: 1024)
        record.replaceSubrange(16..<32, with: [192, 0, 2, 9, 2, 0, 0, 0, 0x10, 0x27, 0, 0, 0, 0, 0, 0])
        let table = TimeoutTable(record)
        #expect(table.entries.map { "\($0.address) \($0.count) \($0.time)" } == ["192.0.2.9 2 10000"])
        #expect(table.skips(try address("192.0.2.9"), now: 10_001, jitter: 0))
        var mine = TimeoutTable()
        #expect(mine.timedOut(try address("192.0.2.9"), now: 10_000) == 0..<16)
        #expect(mine.bytes[..<16] == [192, 0, 2, 9, 1, 0, 0, 0, 0x10, 0x27, 0, 0, 0, 0, 0, 0])
    }

    @Test func anyFileIsATable() throws {
        var random = SystemRandomNumberGenerator()
        let peer = try address("2001:db8::1")
        for length in [0, 1, 15, 1023, 1024, 1025, 3071, 3072, 5000] {
            var table = TimeoutTable((0..<length).map { _ in UInt8.random(in: 0...255, using: &random) })
            #expect(table.bytes.count == TimeoutTable.byteCount)
            _ = (table.entries, table.timedOut(peer, now: .max), table.skips(peer, now: .max, jitter: .max), table.answered(peer))
        }
    }
}

@Suite struct TimeoutFileTests {
    @Test func isSharedByAllWhoHaveTheFile() throws {
        let folder = TemporaryFolder()
        let path = "\(folder.path)/tcpto"
        close(open(path, O_CREAT | O_WRONLY, 0o644))
        var one = TimeoutFile(path)
        let other = TimeoutFile(path)
        let peer = try address("192.0.2.1")
        for time in [UInt64(1000), 2000] { one.timedOut(peer, now: time) }
        #expect(other.skips(peer, now: 2001, jitter: 0))
        one.answered(peer)
        #expect(!other.skips(peer, now: 2001, jitter: 0) && other.table.entries.isEmpty)
    }

    @Test func worksFromMemoryWithoutTheFile() throws {
        let folder = TemporaryFolder()
        var file = TimeoutFile("\(folder.path)/missing")
        let peer = try address("192.0.2.1")
        for time in [UInt64(1000), 2000] { file.timedOut(peer, now: time) }
        #expect(file.skips(peer, now: 2001, jitter: 0) && access("\(folder.path)/missing", F_OK) != 0)
    }

    /// Whoever may read the file could hold its lock for ever.
    @Test(.timeLimit(.minutes(1))) func nobodyWaitsForTheLock() throws {
        let folder = TemporaryFolder()
        let path = "\(folder.path)/tcpto"
        let holder = open(path, O_CREAT | O_RDWR, 0o644)
        defer { close(holder) }
        #expect(flock(holder, LOCK_EX) == 0)
        var file = TimeoutFile(path)
        let peer = try address("192.0.2.1")
        for time in [UInt64(1000), 2000] { file.timedOut(peer, now: time) }
        #expect(!file.skips(peer, now: 2001, jitter: 0), "not written down")
    }
}
