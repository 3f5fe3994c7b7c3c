private import Bytes
package import Frames

/// Which account a local part belongs to when `users/cdb` does not say: the rules of qmail-getpw (spec-qmail §6.5).
package struct PasswordRules: Sendable {
    private let source: any AccountSource

    /// Longer account names are not considered.
    package static let maxNameBytes = 31
    /// Between a user's name and the extension (conf-break, spec-qmail §1.3).
    package static let separator = ASCII.hyphen

    package init(_ source: any AccountSource) { self.source = source }

    /// The account with the longest name that is all of `localPart` or its beginning up to a break; else alias.
    package func user(of localPart: ArraySlice<UInt8>) throws(LookupTrouble) -> LocalUser {
        if let account = try account(localPart) {
            return PasswordRules.user(account, dash: [], ext: [])
        }
        for index in localPart.indices.reversed() where localPart[index] == PasswordRules.separator {
            guard let account = try account(localPart[..<index]) else { continue }
            return PasswordRules.user(account, dash: [PasswordRules.separator], ext: localPart[(index + 1)...])
        }
        return PasswordRules.user(try source.alias(), dash: [PasswordRules.separator], ext: localPart)
    }

    private func account(_ name: ArraySlice<UInt8>) throws(LookupTrouble) -> MailAccount? {
        guard !name.isEmpty, name.count <= PasswordRules.maxNameBytes,
            let account = try source.account(named: name.lowercasedASCII()), account.uid != 0, account.home.first == ASCII.slash,
            try source.owner(ofHome: account.home) == account.uid
        else { return nil }
        return account
    }

    private static func user(_ account: MailAccount, dash: [UInt8], ext: ArraySlice<UInt8>) -> LocalUser {
        LocalUser(name: account.name[...], uid: account.uid, gid: account.gid, home: account.home[...], dash: dash[...], ext: ext)
    }
}
