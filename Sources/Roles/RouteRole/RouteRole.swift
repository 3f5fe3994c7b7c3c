private import Boundaries
private import Bytes
private import ControlFiles
private import Glibc
private import Posix
package import RoleContext
private import Routing

/// Role route: who is this address? It alone reads `users/cdb` and who has what mailbox, asks for accounts and looks at the names in `alias/`; it sees no mail and no network.
///
/// A changed control file or `users/cdb` counts at the next question. In an unprivileged install users are those of ``CheckoutAccounts``.
package enum RouteRole {
    /// - Returns: 0 after SIGTERM, 111 when it cannot start.
    package static func run(_ context: RoleContext) -> Int32 {
        do {
            try serve(context)
            return 0
        } catch {
            log("route: fatal: \(error)")
            return error is ControlFileError ? 1 : 111
        }
    }

    private static func serve(_ context: RoleContext) throws {
        let loop = try EventLoop()
        let control = ControlDirectory()
        let hangUp = Callback()
        try loop.onSignals([SIGTERM, SIGINT, SIGHUP]) { signal in
            if signal == SIGHUP { hangUp.body() } else { loop.stop() }
        }
        let lookup = try LocalPartLookup(accounts(context), on: loop)
        let accountLookup = try AccountLookup(control, qmailHome: workingDirectory())
        let identity = try IdentityDoor(lookup, accountLookup, on: loop, control)
        let probes = RecipientProbes(on: loop) { identity.probe($0) }
        identity.onVerdict = { probes.take($1, token: $0) }
        let route = try RouteDoor(lookup, accountLookup, probes, on: loop, control)
        hangUp.body = {
            accountLookup.refresh()
            route.refresh()
            identity.refresh()
        }
        let listeners = [
            try listener("route", context, loop) { route.accept($0) },
            try listener("identity", context, loop) { identity.accept($0) },
        ]
        loop.run()
        for listener in listeners { listener.close() }
    }

    private static func listener(
        _ name: String, _ context: RoleContext, _ loop: EventLoop, _ accept: @escaping (consuming FileDescriptor) -> Void
    ) throws(SystemError) -> Listener {
        guard let socket = context.socket(name) else { throw SystemError(call: "socket", subject: name, errno: ENOTCONN) }
        return try Listener(FileDescriptor(owning: socket), on: loop, accept)
    }

    private static func accounts(_ context: RoleContext) -> any AccountSource {
        if context.accounts.isPrivileged { return SystemAccounts() }
        let own = context.accounts["alias"]
        return CheckoutAccounts(qmailHome: workingDirectory(), uid: own.uid, gid: own.gid)
    }

    /// The qmail home, absolute.
    private static func workingDirectory() -> [UInt8] {
        guard let path = getcwd(nil, 0) else { return [] }
        defer { free(path) }
        return Array(UnsafeRawBufferPointer(start: path, count: strlen(path)))
    }

    private final class Callback { var body: () -> Void = {} }
}
