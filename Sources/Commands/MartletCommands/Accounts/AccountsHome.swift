internal import AccountAdministration
internal import Accounts
private import Bytes
private import ControlFiles
private import Glibc
private import Posix

/// The home of the mail system as commands for accounts need it: entered, with the right identity.
struct AccountsHome {
    /// Once in a process: the path of the home may be a relative one.
    init() throws(Complaint) { try Self.enter() }

    /// Waits for other commands.
    func open() throws(Complaint) -> AccountAdministration {
        let owner = try Self.owner()
        return try Self.told { () throws(AccountFailure) in try AccountAdministration(owner) }
    }

    static func open() throws(Complaint) -> AccountAdministration { try AccountsHome().open() }

    /// For a list: nil when there are none and never were.
    static func openIfThere() throws(Complaint) -> AccountAdministration? {
        let home = try AccountsHome()
        return AccountAdministration.isThere ? try home.open() : nil
    }

    /// What the site keeps of a password.
    func kept(_ password: [UInt8]) throws(Complaint) -> NewPassword {
        let keepsSecret = try Self.line("authsecrets").flatMap { parseLeadingDecimal($0) } ?? 0 != 0
        do throws(PasswordHash.Failure) { return try NewPassword(password, keepsSecret: keepsSecret) } catch { throw Complaint("\(error)") }
    }

    /// What failed, as a complaint.
    static func told<Value>(_ body: () throws(AccountFailure) -> Value) throws(Complaint) -> Value {
        do throws(AccountFailure) { return try body() } catch { throw Complaint(error.description) }
    }

    /// Of a control file.
    static func line(_ name: String) throws(Complaint) -> [UInt8]? {
        do throws(SystemError) { return try ControlDirectory().line(name) } catch { throw Complaint("control/\(name): \(error.reason)") }
    }

    /// Root works in another account's installation as that account: what it makes is then that account's.
    private static func enter() throws(Complaint) {
        try enterHome()
        var info = stat()
        guard geteuid() == 0, stat(".", &info) == 0, info.st_uid != 0 else { return }
        guard setgroups(1, &info.st_gid) == 0, setgid(info.st_gid) == 0, setuid(info.st_uid) == 0 else {
            throw Complaint("cannot act as the owner of this home (\(errorText(errno))): run this as uid \(info.st_uid)")
        }
    }

    private static func owner() throws(Complaint) -> MailboxOwner {
        guard geteuid() == 0 else { return MailboxOwner(uid: geteuid(), gid: getegid()) }
        let name = try line("vmailuser").flatMap { $0.isEmpty ? nil : $0.text } ?? MailboxOwner.defaultName
        guard let owner = MailboxOwner.named(name) else {
            throw Complaint("there is no account \(name) for mailboxes to belong to: useradd --system \(name), or name another in control/vmailuser")
        }
        let minimum = try line("minuid").flatMap { parseLeadingDecimal($0) } ?? defaultMinUID
        guard owner.uid != 0, UInt64(owner.uid) >= minimum else {
            throw Complaint("no delivery runs as \(name), whose uid is below control/minuid: name another account in control/vmailuser")
        }
        return owner
    }

    private static let defaultMinUID: UInt64 = 100
}
