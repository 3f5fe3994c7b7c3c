import Glibc
import Journal
import SimulatedDisk
import Testing

/// Crash anywhere, recover, compare with the ledger. `MARTLET_SEEDS` sets how many seeds, `MARTLET_SEED` runs one.
@Suite struct CrashTests {
    static var seeds: [UInt64] {
        if let one = getenv("MARTLET_SEED"), let seed = UInt64(String(cString: one)) { return [seed] }
        let count = getenv("MARTLET_SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 2400
        return Array(1...count)
    }

    /// Several lives of one queue: each ends with power cut at a random call, or a kill, on a disk whose syncs and writes sometimes fail.
    @Test func everyPromiseSurvives() throws {
        for seed in Self.seeds {
            var random = SplitMix(seed)
            let disk = SimulatedDisk(seed: seed)
            var work = try Workload(disk, seed: seed)
            for life in 1...4 {
                var manners = SimulatedDisk.Manners()
                if random.chance(2, in: 3) { manners.powerFor = Int.random(in: 1...120, using: &random) }
                if random.chance(1, in: 3) { manners.syncFailures = 300 }
                if random.chance(1, in: 3) { manners.writeFailures = 200 }
                if random.chance(1, in: 3) { manners.readFailures = 500 }
                disk.set(manners)
                work.run(steps: 60)
                if random.chance(1, in: 4) { work.stopOrderly() }
                try recover(&work, random.chance(2, in: 3), &random)
                let broken = work.brokenPromises()
                #expect(broken.isEmpty, "MARTLET_SEED=\(seed) life \(life): \(broken.prefix(3))")
                guard broken.isEmpty else { return }
                work.settle()
            }
        }
    }

    /// Power may go again during recovery, any number of times.
    private func recover(_ work: inout Workload, _ power: Bool, _ random: inout SplitMix) throws {
        var cut = power || work.disk.isDown
        for attempt in 0... {
            if cut { work.disk.cutPower() }
            var manners = SimulatedDisk.Manners()
            if attempt < 3, random.chance(1, in: 3) { manners.powerFor = Int.random(in: 0...60, using: &random) }
            work.disk.set(manners)
            do {
                try work.restart()
                return
            } catch {
                guard work.disk.isDown else { throw error }
                cut = true
            }
        }
    }

    /// Log ≤ 2 × live bytes + 4 segments, with mail coming and going.
    @Test func theLogStaysShort() throws {
        let disk = SimulatedDisk(seed: 7)
        var work = try Workload(disk, seed: 7, segmentSize: 256 << 10)
        for _ in 0..<60 {
            work.run(steps: 50)
            work.finishCleaning()
            let bytes = work.writer.journal.segmentsInUse * work.parameters.segmentSize
            // One segment more: the one that is being emptied.
            #expect(bytes <= 2 * work.index.liveBytes + 5 * work.parameters.segmentSize)
        }
        #expect(work.brokenPromises(afterCrash: false).isEmpty)
    }

    /// A full disk refuses new mail, goes on with what it has, and takes mail again when there is room, without help.
    @Test func aFullDiskDrainsByItself() throws {
        let disk = SimulatedDisk(seed: 3)
        var work = try Workload(disk, seed: 3)
        var manners = SimulatedDisk.Manners()
        manners.capacity = 8 * work.parameters.segmentSize
        disk.set(manners)
        work.run(steps: 3000)
        #expect(!work.refused.isEmpty)
        #expect(!work.writer.isDead)
        #expect(work.brokenPromises(afterCrash: false).isEmpty)
        let refusedWhileFull = work.refused.count
        disk.set(SimulatedDisk.Manners())
        work.run(steps: 200)
        #expect(work.refused.count < refusedWhileFull + 200)
        #expect(work.brokenPromises(afterCrash: false).isEmpty)
    }
}
