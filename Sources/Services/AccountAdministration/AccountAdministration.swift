private import Accounts
private import Bytes
private import Foundation
internal import GRDB
private import Glibc
private import Posix

/// The accounts as an administrator changes them: `auth/accounts.sqlite` is what counts, the constant databases that everything else reads are made of it.
///
/// A change is one step to everyone: both databases are written and synced before it is committed, and put in their places after. A command that was killed
/// in between leaves a state that the next one finds by its number and publishes. Commands wait for each other.
///
/// Module `AccountAdministration` must not know how mail is routed or who logs in. The working directory is the qmail home. For a process of one thread: as
/// root it works on mailboxes with their account's rights.
package final class AccountAdministration {
    package static let databasePath = "auth/accounts.sqlite"
    private static let lockPath = "auth/lock"
    package static let lockSeconds = 60
    /// What an address leads to is told to delivery in one packet.
    package static let maxTargetBytes = 30_000

    private let lock: FileDescriptor
    private let queue: DatabaseQueue
    let owner: MailboxOwner
    let folders: MailboxFolders
    private let mailboxes: [UInt8]

    /// Whether anybody has ever made an account here.
    package static var isThere: Bool { access(databasePath, F_OK) == 0 }

    /// Waits for other commands, and publishes what one of them could not.
    package init(_ owner: MailboxOwner) throws(AccountFailure) {
        self.owner = owner
        folders = MailboxFolders(owner: owner)
        do throws(SystemError) {
            mailboxes = try Self.home() + Array("/\(AccountDirectory.mailboxes)".utf8)
            try Self.makeFolder()
            lock = try FileDescriptor.open(Self.lockPath, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
            // Its journal is made with the same mode.
            _ = try FileDescriptor.open(Self.databasePath, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        } catch { throw .trouble(error) }
        try Self.take(lock)
        do { queue = try Self.open() } catch { throw Self.failure(error) }
        if try !isPublished { try publishAgain() }
    }

    /// As `make install` makes it.
    private static func makeFolder() throws(SystemError) {
        guard mkdir("auth", 0o750) == 0 else {
            if errno == EEXIST { return }
            throw SystemError(call: "mkdir", subject: "auth", errno: errno)
        }
        if geteuid() == 0, let group = MailboxOwner.groupOfAuth { try check("chown", "auth") { chown("auth", 0, group) } }
    }

    private static func home() throws(SystemError) -> [UInt8] {
        guard let path = getcwd(nil, 0) else { throw SystemError(call: "getcwd", subject: "", errno: errno) }
        defer { free(path) }
        return Array(UnsafeRawBufferPointer(start: path, count: strlen(path)))
    }

    private static func take(_ lock: borrowing FileDescriptor) throws(AccountFailure) {
        let deadline = monotonicNanoseconds() + UInt64(lockSeconds) * 1_000_000_000
        while flock(lock.raw, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw .trouble(SystemError(call: "lock", subject: lockPath, errno: errno)) }
            guard monotonicNanoseconds() < deadline else { throw .busy }
            usleep(10_000)
        }
    }

    private static func open() throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.prepareDatabase { database in
            // A password that was removed is not to be found in the file.
            try database.execute(sql: "PRAGMA secure_delete = ON; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF")
        }
        let queue = try DatabaseQueue(path: databasePath, configuration: configuration)
        try AccountSchema.migrator.migrate(queue)
        return queue
    }

    // MARK: - One step

    func read<Value>(_ body: (Database) throws -> Value) throws(AccountFailure) -> Value {
        do { return try queue.read(body) } catch { throw Self.failure(error) }
    }

    /// Any failure before the commit leaves everything as it was.
    func change<Value>(_ body: (Database) throws -> Value) throws(AccountFailure) -> Value {
        let (value, databases): (Value, AccountDatabases)
        do {
            (value, databases) = try queue.write { database in
                let value = try body(database)
                try database.execute(sql: "UPDATE state SET generation = generation + 1")
                return (value, try AccountDatabases(database, owner, mailboxes: mailboxes))
            }
        } catch { throw Self.failure(error) }
        do throws(SystemError) { try databases.publish() } catch { throw .notInEffect(error) }
        return value
    }

    /// Makes both databases anew: after a change of `control/vmailuser`, or when one was lost.
    package func publishAgain() throws(AccountFailure) {
        let databases: AccountDatabases
        do { databases = try queue.read { try AccountDatabases($0, owner, mailboxes: mailboxes) } } catch { throw Self.failure(error) }
        do throws(SystemError) { try databases.publish() } catch { throw .trouble(error) }
    }

    /// Whether both databases show this state, for this account of the mailboxes.
    private var isPublished: Bool {
        get throws(AccountFailure) {
            let generation = try read { try Int64.fetchOne($0, sql: "SELECT generation FROM state") ?? 0 }
            let wanted = AccountOwner(uid: owner.uid, gid: owner.gid, generation: UInt64(clamping: generation))
            return AccountOwner.published(AccountDirectory.path) == wanted && AccountOwner.published(LoginRecord.path) == wanted
        }
    }

    private static func failure(_ error: any Error) -> AccountFailure {
        switch error {
        case let failure as AccountFailure: failure
        case let error as SystemError: .trouble(error)
        case let error as DatabaseError: .database(error.message ?? "\(error.resultCode)")
        default: .database("\(error)")
        }
    }
}
