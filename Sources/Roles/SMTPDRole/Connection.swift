internal import NIOCore

/// One client's connection, as the server sees it.
protocol Connection: ChannelHandler {
    /// The queue takes content again.
    func resumeReading()
    func checkDeadline()
    func beginShutdown()
    func endShutdown()
}
