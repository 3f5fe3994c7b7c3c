import Addresses
import Bytes
import Journal
import JournalFormat
import SimulatedDisk
import Storage
import Testing

/// Damage that no crash makes: what recovery says, and what still runs.
@Suite struct RecoveryTests {
    /// A journal with messages 1…count, each with content of its own, all acknowledged; several segments.
    private struct Made {
        let disk = SimulatedDisk(seed: 1)
        var contents: [UInt64: [UInt8]] = [:]
        var placements: [UInt64: Placement] = [:]
        static let parameters: Journal.Parameters = {
            var parameters = Journal.Parameters()
            parameters.segmentSize = 64 << 10
            return parameters
        }()

        init(_ count: UInt64, content: (UInt64) -> [UInt8] = { id in [UInt8](repeating: UInt8(truncatingIfNeeded: id), count: 3000) }) throws {
            var index = QueueIndex()
            let journal = try Made.start(disk, &index).journal
            let writer = JournalWriter(journal)
            for id in 1...count {
                while journal.pool.count <= Self.parameters.reservedSegments { try journal.pool.prepare() }
                contents[id] = content(id)
                let record = MessageRecord(
                    id: id, birth: 1, qp: id, uid: 1, sender: Array("s@x.example".utf8),
                    recipients: PackedRecipients(grouping: [(Array("r@y.example".utf8), .remote)]), nextLocal: 0, nextRemote: 0,
                    failures: FailureTexts(), content: .inline(segment: 0, offset: 0, length: 0, check: 0))
                for answer in writer.commit([(id, .accept(record, content: contents[id]))], sync: true) {
                    if case .durable(let placement?) = answer.result { placements[id] = placement }
                }
            }
        }

        static func start(_ disk: SimulatedDisk, _ index: inout QueueIndex) throws -> (journal: Journal, findings: [RecoveryFinding]) {
            var salts = SplitMix(UInt64(disk.calls))
            return try Journal.recover(disk, parameters: parameters, random: { salts.bytes(16) }, into: &index)
        }

        /// The file of a segment: names are given in order here, for nothing is recycled.
        func file(_ segment: UInt64) -> String { "journal/\(segment)" }

        func contentOffset(_ id: UInt64) -> Int {
            if case .inline(_, let offset, _, _) = placements[id]?.content { Int(offset) } else { 0 }
        }
    }

    private func restarted(_ made: Made) throws -> (index: QueueIndex, journal: Journal, findings: [RecoveryFinding]) {
        var index = QueueIndex()
        let (journal, findings) = try Made.start(made.disk, &index)
        return (index, journal, findings)
    }

    @Test func anUndamagedQueueIsWholeAndSaysNothing() throws {
        let made = try Made(40)
        let (index, journal, findings) = try restarted(made)
        #expect(findings.isEmpty)
        #expect(journal.segmentsInUse > 2)
        for (id, content) in made.contents { #expect(journal.table.content(try #require(index[id]).record.content) == content) }
    }

    @Test func aDamagedHeadIsReportedOnceAndTheRestRuns() throws {
        let made = try Made(40)
        let place = try #require(made.placements[5])
        // The head stands in the block before its content, at a block boundary.
        let head = made.contentOffset(5) / Block.size * Block.size
        made.disk.damage(made.file(place.segment), at: head + 100)
        let (index, journal, findings) = try restarted(made)
        #expect(findings.count == 1)
        guard case .corruption(let segment, _, let kept) = findings[0] else {
            Issue.record("\(findings)")
            return
        }
        #expect(segment == place.segment)
        #expect(made.disk.content(kept)?.isEmpty == false)
        #expect(index[5] == nil)
        for id in made.contents.keys where id != 5 { #expect(journal.table.content(try #require(index[id]).record.content) == made.contents[id]) }
        #expect(try restarted(made).findings.isEmpty)
    }

    @Test func damagedContentIsFoundWhenReadAndConcernsNobodyElse() throws {
        let made = try Made(40)
        made.disk.damage(made.file(try #require(made.placements[5]).segment), at: made.contentOffset(5) + 1000)
        let (index, journal, findings) = try restarted(made)
        #expect(findings.isEmpty)
        #expect(journal.table.content(try #require(index[5]).record.content) == nil)
        #expect(journal.table.content(try #require(index[6]).record.content) == made.contents[6])
    }

    @Test func carriedDamageStaysDamage() throws {
        let made = try Made(10)
        made.disk.damage(made.file(try #require(made.placements[5]).segment), at: made.contentOffset(5) + 1000)
        let (index, journal, _) = try restarted(made)
        while journal.pool.count < 3 { try journal.pool.prepare() }
        let answers = JournalWriter(journal).commit(
            [(1, .carry(try #require(index[5]).record)), (2, .carry(try #require(index[6]).record))], sync: true)
        guard case .durable(let damaged?) = answers[0].result, case .durable(let sound?) = answers[1].result else {
            Issue.record("\(answers)")
            return
        }
        #expect(journal.table.content(damaged.content) == nil)
        #expect(journal.table.content(sound.content) == made.contents[6])
    }

    @Test(arguments: [0, 64 * 1024 - 4096]) func oneOfTwoHeadersIsEnough(_ offset: Int) throws {
        let made = try Made(40)
        made.disk.damage(made.file(2), at: offset + 20)
        let (index, _, findings) = try restarted(made)
        #expect(findings.isEmpty)
        #expect(index.messages.count == 40)
    }

    @Test func aLostSegmentIsReported() throws {
        let made = try Made(40)
        try made.disk.remove(made.file(2))
        let (index, _, findings) = try restarted(made)
        #expect(findings.contains(.missingSegment(2)))
        #expect(index.messages.count < 40)
        #expect(index[40] != nil)
    }

    @Test func aFileThatIsNoSegmentIsKeptAside() throws {
        let made = try Made(3)
        try made.disk.create("journal/notes.txt").write(Array("hello".utf8), at: 0)
        let (index, _, findings) = try restarted(made)
        #expect(findings.count == 1)
        #expect(index.messages.count == 3)
        #expect(made.disk.content("journal/notes.txt") == nil)
    }

    /// The content of a mail is a copy of the log itself, batches and all, at every block boundary; and the batch before it is destroyed, so that
    /// recovery looks for the next one there.
    @Test func contentNeverPassesForABatch() throws {
        let spy = try Made(6)
        let log = try #require(spy.disk.content("journal/1"))
        // Another journal has other salts; the attacker can know old logs, not this one's.
        let made = try Made(8) { id in id == 4 ? Array(log[4096..<40960]) : [UInt8](repeating: UInt8(id), count: 3000) }
        let head = made.contentOffset(4) / Block.size * Block.size
        made.disk.damage(made.file(try #require(made.placements[4]).segment), at: head + 100)
        let (index, journal, findings) = try restarted(made)
        #expect(findings.count == 1)
        #expect(Set(index.messages.keys) == Set([1, 2, 3, 5, 6, 7, 8]))
        #expect(journal.table.content(try #require(index[5]).record.content) == made.contents[5])
    }

    @Test func anOrderlyStopLeavesNothingToWriteAgain() throws {
        let made = try Made(10)
        let first = try restarted(made).journal
        while first.pool.count < 3 { try first.pool.prepare() }
        #expect(JournalWriter(first).commit([(1, .stop)], sync: true).map(\.result) == [.durable(nil)])
        let segments = first.segmentsInUse
        #expect(try restarted(made).journal.segmentsInUse == segments)
    }

    @Test func idsAreNeverGivenTwice() throws {
        let made = try Made(10)
        for _ in 0..<3 { #expect(try restarted(made).journal.lastID >= 10) }
    }

    @Test func everyStartHasAnEpochOfItsOwn() throws {
        let made = try Made(2)
        let first = try restarted(made).journal.epoch
        #expect(first > 1)
    }
}
