private import Accounts
private import Addresses
private import Authentication
private import Boundaries
private import ControlFiles
private import Glibc
private import Logins
private import Posix
package import RoleContext
private import Routing

/// Role auth: who is this client, and what may it send? It sees passwords and our accounts' hashes; it must not see mail, nor talk to the network. Of the system's
/// accounts it learns through `martlet-authcheck`, which lspawn starts for it, as root, once for each question.
///
/// A changed control file or `auth/accounts.cdb` counts at the next login.
package enum AuthRole {
    /// - Returns: 0 after SIGTERM, 1 or 111 when it cannot start.
    package static func run(_ context: RoleContext) -> Int32 {
        do {
            try serve(context)
            return 0
        } catch {
            log("auth: fatal: \(error)")
            return error is ControlFileError ? 1 : 111
        }
    }

    private static func serve(_ context: RoleContext) throws {
        let loop = try EventLoop()
        let control = ControlDirectory()
        try loop.onSignals([SIGTERM, SIGINT, SIGHUP]) { if $0 != SIGHUP { loop.stop() } }
        let isPrivileged = context.accounts.isPrivileged
        let settings = try Watched(AuthSettings.files.map(control.file)) {
            try AuthSettings(control, isPrivileged: isPrivileged)
        } complain: {
            log("auth: \($0); the old value stays")
        }
        let pool = try HashPool(threads: try threadCount(control), on: loop)
        let spawner = SpawnerLine(on: loop)
        let checks = CheckDesk(on: loop, spawner)
        let authenticator = Authenticator(settings, try AccountDatabase(), pool) { checks.ask($0, $1) }
        // Apart from the hashes: guesses at passwords must not keep those waiting who have logged in.
        let lookups = try HashPool(threads: lookupThreads, on: loop)
        let ownership = try SenderOwnership(control, lookups, accounts(context), ownAccounts: try ownAccounts())
        let gate = Gate(settings)
        let tickets = TicketOffice()
        let offer = try Watched(LoginOffer.files.map(control.file)) {
            try LoginOffer(control)
        } complain: {
            log("auth: \($0); the old value stays")
        }
        let logins = LoginDoor(on: loop, offer, authenticator, gate, ownership, tickets)
        let mailboxes = MailboxDoor(on: loop, tickets, spawner)
        let administrators = AuthAdminDoor(on: loop, gate)
        let listeners = [
            try listener(.auth, context, loop) { logins.accept($0) },
            try listener(.mailbox, context, loop) { mailboxes.accept($0) },
            try listener(.opening, context, loop) { spawner.accept($0) },
            try listener(.authAdmin, context, loop) { administrators.accept($0) },
        ]
        loop.run()
        for listener in listeners { listener.close() }
    }

    private static let lookupThreads = 2

    /// By `users/accounts.cdb`, which says who has an address; nobody has one without it.
    private static func ownAccounts() throws -> SenderOwnership.OwnAccounts {
        let directory = try Watched([AccountDirectory.path]) {
            try AccountDirectory.open()
        } complain: {
            log("auth: \(AccountDirectory.path): \($0); the old one stays")
        }
        return { account, sender in
            guard let directory = directory.refreshed() else { return false }
            return try? directory.owns(account: account, sender: sender)
        }
    }

    private static func listener(
        _ boundary: Boundary, _ context: RoleContext, _ loop: EventLoop, _ accept: @escaping (consuming FileDescriptor) -> Void
    ) throws(SystemError) -> Listener {
        guard let socket = context.socket(boundary.rawValue) else {
            throw SystemError(call: "socket", subject: boundary.rawValue, errno: ENOTCONN)
        }
        return try Listener(FileDescriptor(owning: socket), on: loop, accept)
    }

    /// `control/hashthreads`, else one for each processor.
    private static func threadCount(_ control: ControlDirectory) throws -> Int {
        let given = try control.integer("hashthreads").map { Int(clamping: $0) } ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        return min(max(given, 1), 64)
    }

    private static func accounts(_ context: RoleContext) -> any AccountSource {
        if context.accounts.isPrivileged { return SystemAccounts() }
        let own = context.accounts["alias"]
        guard let path = getcwd(nil, 0) else { return SystemAccounts() }
        defer { free(path) }
        let home = Array(UnsafeRawBufferPointer(start: path, count: strlen(path)))
        return CheckoutAccounts(qmailHome: home, uid: own.uid, gid: own.gid)
    }
}
