private import ClientConnections
private import ControlFiles
private import Posix
package import RoleContext

/// Lets people read their mail: speaks POP3 and TLS with clients until they have logged in, which auth decides; then it only carries bytes between a
/// client and the store worker that lspawn has started for it. It can open no mailbox itself.
package enum AccessRole {
    /// Runs until SIGTERM.
    /// - Returns: the exit code: 0 after an orderly stop, 1 when it cannot start.
    package static func run(_ context: RoleContext) -> Int32 {
        let workers = context.workers
        let doors = context.doors
        do {
            try ServingProcess.run {
                let server = AccessServer(on: $0, try AccessServer.watchedConfiguration(), workers: workers)
                return (server, .andAllSucceed(doors.map { server.listen($0.door, $0.descriptor) }, on: $0))
            } stop: {
                $0.stop()
            }
            return 0
        } catch {
            log("access: fatal: \(error)")
            return 1
        }
    }
}
