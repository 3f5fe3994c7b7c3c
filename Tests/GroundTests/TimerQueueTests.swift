import Posix
import Testing

@Suite struct TimerQueueTests {
    @Test func callbacksComeInTheOrderOfTheirTimes() {
        var queue = TimerQueue()
        var order: [Int] = []
        for due in [5, 1, 9, 3, 7] { _ = queue.add(at: UInt64(due)) { order.append(due) } }
        #expect(queue.next == 1)
        while let body = queue.popDue(now: 7) { body() }
        #expect(order == [1, 3, 5, 7] && queue.next == 9)
    }

    @Test func aCallbackMaySetAndCancelOthers() throws {
        let loop = try EventLoop()
        var seen: [String] = []
        let cancelled = loop.after(nanoseconds: 2_000_000) { seen.append("cancelled") }
        loop.after(nanoseconds: 1_000_000) {
            seen.append("first")
            loop.cancel(cancelled)
            loop.after(nanoseconds: 1_000_000) {
                seen.append("second")
                loop.stop()
            }
        }
        loop.run()
        #expect(seen == ["first", "second"])
    }
}
