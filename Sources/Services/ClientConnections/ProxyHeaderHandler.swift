package import NIOCore
package import ProxyProtocol

/// Stands in front of a connection from a listed proxy until its header has come, and keeps what is behind unaware of it: the handlers that
/// ``Events/header`` adds see a connection begin after the header.
///
/// Module `ClientConnections` is what all roles with doors share about connections of clients. It must not know what is spoken on them.
package final class ProxyHeaderHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer

    package struct Events {
        /// Adds the handlers that serve the client. What it throws closes the connection.
        package var header: (any Channel, ProxyHeader) throws -> Void
        /// No header came: the connection is being closed.
        package var failed: (Failure) -> Void
        /// Comes once, when this handler has done its part or the connection is gone.
        package var ended: () -> Void

        package init(header: @escaping (any Channel, ProxyHeader) throws -> Void, failed: @escaping (Failure) -> Void, ended: @escaping () -> Void) {
            self.header = header
            self.failed = failed
            self.ended = ended
        }
    }

    package enum Failure: Sendable {
        case malformed
        case timeout
        case closed
    }

    private var events: Events?
    private let patience: TimeAmount
    private var received: [UInt8] = []
    private var timer: Scheduled<Void>?

    /// - Parameter patience: for the whole header.
    package init(patience: TimeAmount = .seconds(10), _ events: Events) {
        self.patience = patience
        self.events = events
    }

    package func channelActive(context: ChannelHandlerContext) {
        let context = NIOLoopBound(context, eventLoop: context.eventLoop)
        let this = NIOLoopBound(self, eventLoop: context.value.eventLoop)
        timer = context.value.eventLoop.scheduleTask(in: patience) { this.value.fail(.timeout, context.value) }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard events != nil else { return }
        received += unwrapInboundIn(data).readableBytesView
        switch ProxyHeader.read(received) {
        case .incomplete: break
        case .malformed: fail(.malformed, context)
        case .header(let header, let length): pass(header, length, context)
        }
    }

    private func pass(_ header: ProxyHeader, _ length: Int, _ context: ChannelHandlerContext) {
        let pipeline = context.pipeline.syncOperations
        do { try events?.header(context.channel, header) } catch { return context.close(promise: nil) }
        end()
        let rest = received[length...]
        pipeline.removeHandler(self, promise: nil)
        // The connection begins anew for the whole pipeline: what was just added may stand in front of where this handler was, as TLS does.
        pipeline.fireChannelActive()
        guard !rest.isEmpty else { return }
        pipeline.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: rest)))
        pipeline.fireChannelReadComplete()
    }

    private func fail(_ failure: Failure, _ context: ChannelHandlerContext) {
        guard let events else { return }
        events.failed(failure)
        end()
        context.close(promise: nil)
    }

    private func end() {
        timer?.cancel()
        events?.ended()
        events = nil
    }

    package func channelInactive(context: ChannelHandlerContext) {
        events?.failed(.closed)
        end()
        context.fireChannelInactive()
    }

    package func handlerRemoved(context: ChannelHandlerContext) { end() }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if events == nil { context.fireErrorCaught(error) } else { context.close(promise: nil) }
    }
}
