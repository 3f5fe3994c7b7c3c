private import Accounts
internal import Addresses
internal import ControlFiles
internal import Frames
private import Posix
internal import Routing

/// Who has a rewritten recipient: an account of ours, or a user of the system. The database of accounts is in memory, so that answers come at once; a
/// changed one counts at the next question.
final class AccountLookup {
    enum Answer {
        case user(LocalUser, instructions: [UInt8], quota: [UInt8], Route.Verdict)
        case nobody
        case trouble
        /// `locals` or `virtualdomains` have it, or nobody has claimed it: the users of the system decide (spec-qmail §6.2).
        case systemUser
    }

    let rewriting: Watched<AddressRewriting>
    private let recipients: Watched<AccountRecipients?>

    init(_ control: ControlDirectory, qmailHome: [UInt8]) throws {
        rewriting = try Watched(AddressRewriting.files.map(control.file) + [AddressRewriting.accountsFile]) {
            try AddressRewriting(control)
        } complain: {
            log("route: \($0); the old value stays")
        }
        recipients = try Watched([AddressRewriting.accountsFile]) {
            do throws(AccountDirectory.Failure) {
                return try AccountDirectory.open().map { AccountRecipients($0, qmailHome: qmailHome) }
            } catch {
                throw ControlFileError(file: AddressRewriting.accountsFile, line: 0, problem: error.text)
            }
        } complain: {
            log("route: \($0); the old value stays")
        }
    }

    func refresh() {
        rewriting.refreshed()
        recipients.refreshed()
    }

    func find(_ recipient: Address) -> Answer {
        guard let domain = recipient.domain, rewriting.refreshed().leavesToAccounts(recipient), let recipients = recipients.refreshed() else {
            return .systemUser
        }
        do throws(AccountDirectory.Failure) {
            switch try recipients.find(recipient.localPart, at: domain) {
            case .user(let user, let instructions, let quota):
                // Only its worker may look for the `.qmail` of an extension.
                return .user(user, instructions: instructions, quota: quota, user.dash.isEmpty ? .exists : .unknown)
            case .nobody: return .nobody
            case .foreign: return .systemUser
            }
        } catch { return .trouble }
    }
}
