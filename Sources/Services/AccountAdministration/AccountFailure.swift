package import Accounts
private import Bytes
private import Glibc
package import Posix

/// Why accounts stay as they are, with the mend behind the colon.
package enum AccountFailure: Error, Equatable, CustomStringConvertible {
    case noSuchDomain(AccountDomain)
    case domainExists(AccountDomain)
    case domainInUse(AccountDomain, addresses: Int)
    case exists(AccountAddress)
    case noSuchMailbox(AccountAddress)
    case noSuchAlias(AccountAddress)
    case noSuchPassword(AccountAddress, label: String)
    case passwordExists(AccountAddress, label: String)
    case tooManyPasswords(AccountAddress)
    case tooManyTargets
    /// A mailbox that neither keeps mail nor sends it on.
    case losesMail(AccountAddress)
    case folderInUse(String)
    case busy
    case trouble(SystemError)
    case database(String)
    /// Stored, but mail and logins go by what was before.
    case notInEffect(SystemError)

    package var description: String {
        switch self {
        case .noSuchDomain(let domain): "\(domain.bytes.text) is no domain of accounts: add it first, martlet domain add \(domain.bytes.text)"
        case .domainExists(let domain): "\(domain.bytes.text) is there already"
        case .domainInUse(let domain, let addresses):
            "\(domain.bytes.text) has \(addresses) address\(addresses == 1 ? "" : "es"): remove them first, or all at once with --with-users"
        case .exists(let address): "\(address.bytes.text) is there already: change it, or remove it first"
        case .noSuchMailbox(let address): "there is no mailbox \(address.bytes.text): look in martlet user list"
        case .noSuchAlias(let address): "there is no alias \(address.bytes.text): look in martlet alias list"
        case .noSuchPassword(let address, let label): "\(address.bytes.text) has no application password '\(label)': look in martlet user app list"
        case .passwordExists(let address, let label):
            "\(address.bytes.text) has an application password '\(label)' already: remove it, or take another label"
        case .tooManyPasswords(let address):
            "\(address.bytes.text) has \(LoginRecord.maxPasswords) passwords, which is the most: remove one that is not used"
        case .tooManyTargets: "an address leads to \(AccountAdministration.maxTargetBytes) bytes of addresses at most: make it a mailing list"
        case .losesMail(let address): "mail for \(address.bytes.text) would be lost: give it an address to send mail on to, or let it keep mail"
        case .folderInUse(let path): "\(path) is there with the mail of an earlier mailbox: take it over with --adopt, or move it away"
        case .busy: "another command has been changing accounts for \(AccountAdministration.lockSeconds) seconds: wait, and run this again"
        case .trouble(let error):
            error.errno == EACCES || error.errno == EPERM
                ? "no permission (\(error)): run this as root, or as the account that runs Martlet" : "\(error)"
        case .database(let text): "\(AccountAdministration.databasePath): \(text)"
        case .notInEffect(let error): "stored, but not in effect yet (\(error)): mend that, then run martlet user rebuild"
        }
    }
}
