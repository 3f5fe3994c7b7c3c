private import Glibc
package import NIOCore
private import NIOPosix

/// A process that serves clients on one loop until SIGTERM.
package enum ServingProcess {
    /// Runs until SIGTERM.
    /// - Parameters:
    ///   - start: makes the server, on the loop.
    ///   - stop: ends it in order.
    /// - Throws: what `start` throws.
    package static func run<Server>(
        _ start: @escaping @Sendable (any NIOCore.EventLoop) throws -> (server: Server, isListening: EventLoopFuture<Void>),
        stop: @escaping @Sendable (Server) -> EventLoopFuture<Void>
    ) throws {
        let signals = blockSignals()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let running = NIOLoopBoundBox<Server?>.makeBoxSendingValue(nil, eventLoop: loop)
        try loop.flatSubmit {
            loop.makeCompletedFuture {
                let (server, isListening) = try start(loop)
                running.value = server
                return isListening
            }.flatMap { $0 }
        }.wait()
        waitForEnd(signals)
        try? loop.flatSubmit { running.value.map(stop) ?? loop.makeSucceededVoidFuture() }.wait()
        try? group.syncShutdownGracefully()
    }

    /// Before there is any thread, so that all inherit it: signals are taken one by one in ``waitForEnd(_:)``.
    private static func blockSignals() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGALRM] { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        return set
    }

    /// HUP and ALRM mean nothing here: changed files are seen without them.
    private static func waitForEnd(_ signals: sigset_t) {
        var set = signals
        var signal: Int32 = 0
        repeat { sigwait(&set, &signal) } while signal != SIGTERM && signal != SIGINT
    }
}
