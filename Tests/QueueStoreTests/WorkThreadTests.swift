import Glibc
import Posix
import QueueStore
import Synchronization
import Testing

@Suite struct WorkThreadTests {
    @Test func resultsComeInTheOrderOfTheJobs() throws {
        let script = try Script()
        let thread = try WorkThread("test", on: script.loop)
        var results: [Int] = []
        script.step({ for number in 0..<5000 { thread.run({ number }) { results.append($0) } } }, until: { results.count == 5000 })
        try script.run()
        #expect(results == Array(0..<5000))
    }

    /// Of jobs that the thread took together, each answers as soon as it is done.
    @Test func aResultDoesNotWaitForLaterJobs() throws {
        let script = try Script()
        let thread = try WorkThread("test", on: script.loop)
        let isAnswered = Flag()
        var sawAnswer: Bool?
        script.step(
            {
                thread.run({ usleep(50_000) }) { _ in }
                thread.run({ 1 }) { _ in isAnswered.value.store(true, ordering: .sequentiallyConsistent) }
                thread.run({ () -> Bool in
                    for _ in 0..<5000 where !isAnswered.value.load(ordering: .sequentiallyConsistent) { usleep(1000) }
                    return isAnswered.value.load(ordering: .sequentiallyConsistent)
                }) { sawAnswer = $0 }
            }, until: { sawAnswer != nil })
        try script.run()
        #expect(sawAnswer == true)
    }

    /// What a job holds goes when it is done: bytes that wait for the disk are many.
    @Test func whatAJobHoldsGoesWithIt() throws {
        let script = try Script()
        let thread = try WorkThread("test", on: script.loop)
        let freed = Flag()
        var wasFreed: Bool?
        script.step(
            {
                thread.run({ usleep(50_000) }) { _ in }
                let held = Held(freed)
                thread.run({ held.touch() }) { _ in }
                thread.run({ 0 }) { _ in }
                thread.run({ freed.value.load(ordering: .sequentiallyConsistent) }) { wasFreed = $0 }
            }, until: { wasFreed != nil })
        try script.run()
        #expect(wasFreed == true)
    }

    private final class Flag: Sendable { let value = Atomic(false) }

    private final class Held: Sendable {
        private let freed: Flag
        init(_ freed: Flag) { self.freed = freed }
        func touch() {}
        deinit { freed.value.store(true, ordering: .sequentiallyConsistent) }
    }
}
