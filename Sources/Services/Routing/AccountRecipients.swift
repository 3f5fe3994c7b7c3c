package import Accounts
private import Bytes
package import Frames

/// How mail for a domain of accounts is delivered: to a mailbox's own tree, or on to other addresses.
package struct AccountRecipients: Sendable {
    package enum Recipient: Equatable, Sendable {
        /// - instructions: lines of a `.qmail`, for a user without one.
        case user(LocalUser, instructions: [UInt8], quota: [UInt8])
        /// Nobody has this address; the domain is ours, or was.
        case nobody
        /// The domain never was one of accounts.
        case foreign
    }

    private let directory: AccountDirectory
    private let qmailHome: [UInt8]

    /// - Parameter qmailHome: absolute.
    package init(_ directory: AccountDirectory, qmailHome: [UInt8]) {
        self.directory = directory
        self.qmailHome = qmailHome
    }

    package func find(_ localPart: ArraySlice<UInt8>, at domain: ArraySlice<UInt8>) throws(AccountDirectory.Failure) -> Recipient {
        guard try directory.domain(domain) != nil else { return .foreign }
        switch try directory.find(localPart, at: domain) {
        case .mailbox(let address, let quota, let keepsMail, let forwards, let ext):
            let own = keepsMail ? [Array("./\(AccountDirectory.maildir)/\n".utf8)] : []
            let instructions = Array((own + forwards.map(AccountRecipients.forward)).joined())
            return .user(
                user(address.bytes, home: address.domain.bytes + [ASCII.slash] + address.localPart, ext: ext), instructions: instructions,
                quota: Array(quota.maildirNotation.utf8))
        case .targets(let targets):
            let user = user(localPart + [ASCII.at] + domain, home: Array(AccountDirectory.forwardingHome.utf8), ext: nil)
            return .user(user, instructions: Array(targets.map(AccountRecipients.forward).joined()), quota: [])
        case .nobody: return .nobody
        }
    }

    /// - Parameter home: below the folder of all mailboxes.
    private func user(_ name: some Sequence<UInt8>, home: [UInt8], ext: ArraySlice<UInt8>?) -> LocalUser {
        let home = qmailHome + Array("/\(AccountDirectory.mailboxes)/".utf8) + home
        return LocalUser(
            name: Array(name)[...], uid: directory.owner.uid, gid: directory.owner.gid, home: home[...], dash: ext == nil ? [] : [ASCII.hyphen],
            ext: ext ?? [], isConfined: true)
    }

    private static func forward(_ address: [UInt8]) -> [UInt8] { [ASCII.ampersand] + address + [ASCII.lf] }
}
