private import ClientConnections
private import ControlFiles
private import NIOCore
private import Posix
package import RoleContext

/// Receives mail by SMTP (spec-qmail §13), LMTP, QMTP and QMQP and hands it to the queue. It knows no queue file, no home and no key; its only
/// connections are to clients, `run/inject`, `run/route`, `run/auth` and `run/keys`.
package enum SMTPDRole {
    /// Runs until SIGTERM.
    /// - Returns: the exit code: 0 after an orderly stop, 1 when it cannot start.
    package static func run(_ context: RoleContext) -> Int32 {
        let workers = context.workers
        let doors = context.doors
        do {
            try ServingProcess.run {
                let server = Server(on: $0, try Server.watchedConfiguration(), workers: workers)
                return (server, .andAllSucceed(doors.map { server.listen($0.door, $0.descriptor) }, on: $0))
            } stop: {
                $0.stop()
            }
            return 0
        } catch {
            log("smtpd: fatal: \(error)")
            return 1
        }
    }
}
