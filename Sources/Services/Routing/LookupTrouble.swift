package import Frames

/// Why nobody can say now who controls a local part. Each is temporary, with qmail-lspawn's words (spec-qmail §2.4).
package enum LookupTrouble: Error, Equatable, Sendable {
    /// `users/cdb` cannot be read, or is damaged.
    case usersDatabase
    /// The account database does not answer.
    case accounts
    /// A home directory cannot be looked at now.
    case home
    /// There is no account `alias`.
    case noAlias

    package var report: DeliveryReport {
        switch self {
        case .usersDatabase: DeliveryReport(.deferred, "Trouble reading users/cdb in qmail-lspawn.\n")
        case .accounts: DeliveryReport(.deferred, "Temporary failure in qmail-lspawn.\n")
        case .home: DeliveryReport(.deferred, "NFS failure in qmail-local.\n")
        case .noAlias: DeliveryReport(.deferred, "Unable to find alias user!\n")
        }
    }
}
