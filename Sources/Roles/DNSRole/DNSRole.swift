private import Boundaries
private import Bytes
private import ControlFiles
private import Frames
private import Glibc
private import Posix
private import Resolver
package import RoleContext

/// The one process that speaks DNS. It answers the questions of smtpd and remote on `run/dns`; its one cache serves them all.
///
/// - `control/resolvers`: one name server a line, `IP` or `IP@PORT`; without it those of `/etc/resolv.conf`. Read again when it changes.
/// - `control/dnssec`: a number; answers are validated if it is not 0. Without the file they are not: a name server that strips signatures,
///   as many of providers and all of test networks do, would make every signed domain fail.
package enum DNSRole {
    package static func run(_ context: RoleContext) -> Int32 {
        do {
            let loop = try EventLoop()
            try loop.onSignals([SIGTERM, SIGINT]) { _ in loop.stop() }
            let desk = try NameDesk(on: loop)
            let listener = try Listener(listeningSocket(context), on: loop) { desk.welcome($0) }
            loop.run()
            listener.close()
            return 0
        } catch {
            log("alert: dns cannot start: \(error)")
            return error is ControlFileError ? 1 : 111
        }
    }

    private static func listeningSocket(_ context: RoleContext) throws(SystemError) -> FileDescriptor {
        if let given = context.socket(Boundary.dns.rawValue) { return FileDescriptor(owning: given) }
        return try Boundary.dns.listen()
    }
}
