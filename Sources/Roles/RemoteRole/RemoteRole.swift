private import ControlFiles
private import Glibc
private import NIOCore
private import NIOPosix
private import Posix
package import RoleContext

/// Sends mail to other hosts. The queue hands it deliveries with the message's descriptor, role dns says where a host's mail goes, and it answers
/// one report for each recipient.
///
/// Two threads: the plain one (``Dispatcher``) talks to the queue, to dns, and reads control files; the event loop of SwiftNIO (``Courier``) holds the
/// SMTP connections. What passes between them are values: an ``Errand`` there, an ``Errand/Outcome`` back.
///
/// It must not touch files but control files, nor listen anywhere. A message is the descriptor that came with its delivery.
package enum RemoteRole {
    package static func run(_ context: RoleContext) -> Int32 {
        do {
            let loop = try Posix.EventLoop()
            var dispatcher: Dispatcher?
            try loop.onSignals([SIGTERM, SIGINT]) { _ in dispatcher?.stop() }
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            dispatcher = try Dispatcher(on: loop, sending: group.next())
            loop.run()
            return 0
        } catch {
            log("alert: remote cannot start: \(error)")
            return error is ControlFileError ? 1 : 111
        }
    }
}
