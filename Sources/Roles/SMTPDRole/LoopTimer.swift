internal import NIOCore

extension NIOCore.EventLoop {
    /// Calls `body` again and again, as long as it says so. On the loop only.
    func every(_ interval: TimeAmount, _ body: @escaping () -> Bool) {
        assumeIsolated().scheduleTask(in: interval) { if body() { self.every(interval, body) } }
    }
}
