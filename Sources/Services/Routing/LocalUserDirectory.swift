private import Bytes
private import CDB
private import ControlFiles
package import Frames
private import Glibc
private import Posix

/// Who controls a local part, and whether mail for it can be delivered: `users/cdb`, then accounts, then alias (spec-qmail §6.2).
///
/// Look-ups block; each thread has one of its own.
package final class LocalUserDirectory {
    package struct Finding: Equatable, Sendable {
        package let user: LocalUser
        /// Whether a mailbox is there, as far as route may see.
        package let verdict: Route.Verdict
    }

    /// Relative to the qmail home.
    package static let databasePath = "users/cdb"

    private let source: any AccountSource
    private let rules: PasswordRules
    private let path: String
    private var assignments: UserAssignments?
    private var seen: FileState?

    package init(_ source: any AccountSource, databasePath: String = LocalUserDirectory.databasePath) {
        self.source = source
        rules = PasswordRules(source)
        path = databasePath
    }

    package func find(_ localPart: ArraySlice<UInt8>) throws(LookupTrouble) -> Finding {
        try refresh()
        let user = try owner(of: localPart)
        return Finding(user: user, verdict: verdict(user))
    }

    private func owner(of localPart: ArraySlice<UInt8>) throws(LookupTrouble) -> LocalUser {
        if let assigned = try assignments?.user(of: localPart) { return assigned }
        return try rules.user(of: localPart)
    }

    /// The database is mapped once for each version of the file.
    private func refresh() throws(LookupTrouble) {
        let now = FileState.of(path)
        guard now != seen else { return }
        do throws(SystemError) {
            assignments = try ConstantDatabase.open(path).map(UserAssignments.init)
        } catch {
            throw .usersDatabase
        }
        seen = now
    }

    /// A user's own address exists. Extensions live in the user's home, which route must not look into; alias's files may be looked at.
    private func verdict(_ user: LocalUser) -> Route.Verdict {
        if user.dash.isEmpty, user.ext.isEmpty { return .exists }
        guard let alias = try? source.alias(), user.uid == alias.uid, user.home.elementsEqual(alias.home) else { return .unknown }
        return DotQmailSearch(home: alias.home, dash: user.dash, ext: user.ext).verdict
    }
}
