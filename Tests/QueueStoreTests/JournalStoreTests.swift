import Journal
import JournalFormat
import Posix
import QueueStore
import SimulatedDisk
import Storage
import Synchronization
import TemporaryFolder
import Testing

@Suite struct JournalStoreTests {
    @Test(arguments: [true, false])
    func whatIsAnsweredSurvives(_ isSimulated: Bool) throws {
        let folder = TemporaryFolder()
        let simulated = SimulatedDisk(seed: 7)
        let disk: any Storage = isSimulated ? simulated : folder.disk
        var ids: [UInt64] = []
        do {
            let script = try Script()
            let first = try Store(disk, on: script.loop)
            script.step({ for _ in 0..<100 { ids.append(first.accept()) } }, until: { first.durable.count == 100 && first.isQuiet })
            try script.run()
        }
        simulated.cutPower()
        let script = try Script()
        let second = try Store(disk, on: script.loop)
        #expect(second.index.messages.keys.sorted() == ids)
        let wrong = ids.filter { id in second.index[id].flatMap { second.store.contents.content($0.record.content) } != Store.content(id) }
        #expect(wrong.isEmpty)
        #expect(second.store.takeID() > ids.last ?? .max)
    }

    @Test func aFullDiskRefusesMailTakesOutcomesAndRecovers() throws {
        let disk = SimulatedDisk(seed: 8)
        var manners = SimulatedDisk.Manners()
        manners.capacity = 6 * Store.parameters.segmentSize
        disk.set(manners)
        let script = try Script()
        let store = try Store(disk, on: script.loop)
        // One after the other, until there is no room.
        func acceptAll() { store.accept { if store.refused.isEmpty { acceptAll() } } }
        script.step({ acceptAll() }, until: { !store.refused.isEmpty })
        var ended = 0
        script.step(
            {
                #expect(store.durable.count > 20)
                #expect(store.refused.values.allSatisfy { $0 == .noRoom })
                let free = try disk.freeBytes()
                #expect(free >= Store.parameters.segmentSize, "the margin is untouched")
                for id in store.durable.keys {
                    store.store.submit(.finish(id: id, bounce: nil, bounceContent: []), under: store.store.lease) {
                        if $0 == .durable(nil) { ended += 1 }
                    }
                }
                store.store.syncNow()
            }, until: { ended == store.durable.count })
        script.step({ disk.set(SimulatedDisk.Manners()) }, until: { store.isQuiet })
        var last: UInt64 = 0
        script.step({ last = store.accept() }, until: { store.durable[last] != nil })
        try script.run()
    }

    @Test func aQueueStartsOnAFullDisk() throws {
        let disk = SimulatedDisk(seed: 9)
        var manners = SimulatedDisk.Manners()
        manners.capacity = 0
        disk.set(manners)
        let script = try Script()
        let store = try Store(disk, on: script.loop)
        var outcome: JournalStore.Answer?
        script.step(
            {
                store.store.submit(.records([.retry(id: 1, .remote, next: 5)]), under: store.store.lease) { outcome = $0 }
                store.accept()
            }, until: { !store.refused.isEmpty })
        script.step {
            #expect(store.refused.values.first == .noRoom)
            #expect(outcome == nil, "what is owed waits")
            disk.set(SimulatedDisk.Manners())
        }
        script.step({}, until: { outcome != nil })
        script.step { #expect(outcome == .durable(nil)) }
        var last: UInt64 = 0
        script.step({}, until: { store.isQuiet })
        script.step({ last = store.accept() }, until: { store.durable[last] != nil })
        try script.run()
    }

    /// The mailboxes may stand on the same disk: it is not filled over and over, and the writer does not wait for what has just failed.
    @Test func failedPreparationsAreFewAndHoldNobodyUp() throws {
        let disk = TroubledDisk(SimulatedDisk(seed: 10))
        disk.trouble.withLock { $0.writesFail = true }
        let script = try Script()
        let store = try Store(disk, on: script.loop)
        let refusals = 200
        func accept(_ left: Int) { if left > 0 { store.accept { accept(left - 1) } } }
        script.step({ accept(refusals) }, until: { store.refused.count == refusals })
        try script.run()
        // Each refusal would have waited for an attempt of its own.
        #expect(disk.trouble.withLock { $0.creations } < refusals / 10)
    }

    @Test func aSlowDiskTakesManyMessagesWithOneSync() throws {
        let disk = TroubledDisk(SimulatedDisk(seed: 11))
        let script = try Script()
        let store = try Store(disk, on: script.loop)
        script.step({}, until: { store.isQuiet })
        let count = 300
        func submit(_ left: Int) {
            guard left > 0 else { return }
            store.accept()
            script.loop.after(nanoseconds: 100_000) { submit(left - 1) }
        }
        var before = 0
        script.step(
            {
                before = disk.trouble.withLock {
                    $0.syncMicroseconds = 20_000
                    return $0.syncs
                }
                submit(count)
            }, until: { store.durable.count == count })
        try script.run()
        #expect(disk.trouble.withLock { $0.syncs } - before < count / 2)
    }

    @Test func reservedIDsAreNotGivenOut() throws {
        let script = try Script()
        let store = try Store(SimulatedDisk(seed: 12), on: script.loop).store
        let first = store.takeID()
        store.reserveIDs(through: first + 100)
        #expect(store.takeID() == first + 101)
        store.reserveIDs(through: first)
        #expect(store.takeID() == first + 102)
    }
}
