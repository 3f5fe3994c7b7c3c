import Bytes
import Journal
import JournalFormat
import QmailImport
import QueueStore
import SimulatedDisk
import Storage
import Testing

/// Power goes at every call of an import, and again in the run after it; whenever no plan is there, the mail system runs in between and delivers all
/// that it has. Each message of qmail's queue is delivered once.
@Suite struct ImportCrashTests {
    private let queue = QueueFolder()
    private static let ids: [UInt64] = Array(100...112)

    init() {
        for id in Self.ids {
            // Some go to files of their own, some lots take several batches.
            queue.content(id, size: id % 4 == 0 ? 20_000 : 3_000)
            if id % 5 == 0 {
                queue.write("todo", id, "u1\0p2\0Fs@origin\0Ta@here\0")
            } else {
                queue.write("info", id, "Fs@origin\0")
                queue.write("remote", id, "Ta@b\0Db@c\0")
            }
        }
    }

    /// Everything in the queue leaves it, as far as a queue would run there at all.
    /// - Returns: the numbers of qmail's messages that left.
    private func deliverAll(_ target: ImportedQueue) throws -> [UInt64] {
        if try UnfinishedImport.isThere(target.disk) { return [] }
        let (index, journal) = try target.recovered()
        var delivered: [UInt64] = []
        var entries: [(UInt64, JournalEntry)] = []
        for message in index.messages.values {
            let content = try #require(target.content(message.record, journal))
            let line = try #require(content.split(separator: ASCII.lf).first { $0.starts(with: Array("Subject: ".utf8)) })
            delivered.append(try #require(parseDecimal(line.dropFirst("Subject: ".count))))
            entries.append((message.id, .finish(id: message.id, bounce: nil, bounceContent: [])))
        }
        guard !entries.isEmpty else { return [] }
        while journal.pool.count <= ImportedQueue.parameters.reservedSegments { try journal.pool.prepare() }
        for answer in JournalWriter(journal).commit(entries, sync: true) { #expect(answer.result == .durable(nil)) }
        return delivered
    }

    /// - Returns: false when the run was over before power went.
    private func run(_ target: ImportedQueue, cutAfter calls: Int) -> Bool {
        var manners = SimulatedDisk.Manners()
        manners.powerFor = calls
        target.disk.set(manners)
        let isWhole = (try? target.run(queue)) != nil
        target.disk.cutPower()
        return !isWhole
    }

    @Test func eachMessageComesOnceWhereverItIsCutOff() throws {
        var cuts = 0
        while true {
            let target = ImportedQueue(seed: UInt64(cuts))
            guard run(target, cutAfter: cuts) else { break }
            var delivered = try deliverAll(target)
            var random = SplitMix(UInt64(cuts))
            _ = run(target, cutAfter: Int.random(in: 0...150, using: &random))
            delivered += try deliverAll(target)
            try target.run(queue)
            delivered += try deliverAll(target)
            #expect(delivered.sorted() == Self.ids, "power cut after call \(cuts)")
            let again = try target.run(queue)
            #expect(again.counts.importedBefore == Self.ids.count)
            cuts += 1
        }
        #expect(cuts > 50)
    }

    /// The disk's syncs and writes fail now and then; what failed is said, and the next run brings the rest.
    @Test(arguments: 0..<100)
    func eachMessageComesOnceOnAFailingDisk(_ seed: UInt64) throws {
        let target = ImportedQueue(seed: seed)
        var delivered: [UInt64] = []
        for _ in 0..<5 {
            var manners = SimulatedDisk.Manners()
            (manners.syncFailures, manners.writeFailures) = (500, 200)
            target.disk.set(manners)
            _ = try? target.run(queue)
            target.disk.cutPower()
            delivered += try deliverAll(target)
        }
        try target.run(queue)
        delivered += try deliverAll(target)
        #expect(delivered.sorted() == Self.ids)
    }
}
