internal import Posix

/// Connects to another role again and again: roles die and return.
final class Reconnection {
    private static let firstDelay = 0.05
    private static let longestDelay = 1.0

    private let loop: EventLoop
    private let connect: () throws -> Void
    private var delay = firstDelay
    private var isWaiting = false

    /// - Parameter connect: makes the connection, or throws when the peer is not there.
    init(on loop: EventLoop, _ connect: @escaping () throws -> Void) {
        self.loop = loop
        self.connect = connect
    }

    func attempt() {
        do { try connect() } catch { retryLater() }
    }

    /// The peer works: the next loss is a new one.
    func succeeded() { delay = Self.firstDelay }

    func retryLater() {
        guard !isWaiting else { return }
        isWaiting = true
        loop.after(seconds: delay) { [weak self] in
            self?.isWaiting = false
            self?.attempt()
        }
        delay = min(delay * 2, Self.longestDelay)
    }
}
