package import Addresses
private import Bytes
package import ControlFiles
private import Frames
private import Posix
package import Routing

/// Whether an envelope sender belongs to the account that sends. The null sender is everybody's: what a mail program says about mail it has read has no other.
package final class SenderOwnership {
    package enum Answer: Equatable, Sendable {
        case owned
        case foreign
        /// Nobody can say now.
        case trouble(String)
    }

    /// Whether an address is an account of ours', or leads to it; nil when its files are damaged.
    package typealias OwnAccounts = (_ account: [UInt8], _ sender: Address) -> Bool?

    private let senderLogin: Watched<SenderLogin>
    private let rewriting: Watched<AddressRewriting>
    private let pool: HashPool
    private let source: any AccountSource
    private let ownAccounts: OwnAccounts

    /// - Parameter pool: for look-ups of users, which may block.
    package init(_ control: ControlDirectory, _ pool: HashPool, _ source: any AccountSource, ownAccounts: @escaping OwnAccounts) throws {
        self.pool = pool
        self.source = source
        self.ownAccounts = ownAccounts
        senderLogin = try Watched([control.file("senderlogin")]) {
            do {
                return try SenderLogin(try control.list("senderlogin") ?? [])
            } catch let error as SenderLogin.BadLine {
                let problem = "\(logsafe(error.text)): must be ACCOUNT:SENDER"
                throw ControlFileError(file: control.file("senderlogin"), line: 0, problem: problem)
            }
        } complain: {
            log("auth: \($0); the old value stays")
        }
        rewriting = try Watched(AddressRewriting.files.map(control.file) + [AddressRewriting.accountsFile]) {
            try AddressRewriting(control)
        } complain: {
            log("auth: \($0); the old value stays")
        }
    }

    /// Calls `body` once.
    package func judge(_ account: [UInt8], _ sender: Address, _ body: @escaping (Answer) -> Void) {
        let name = account.lowercasedASCII()
        guard !sender.isNull, sender.bytes.lowercasedASCII() != name, !senderLogin.refreshed().permits(name, sender) else { return body(.owned) }
        guard !name.contains(ASCII.at) else {
            guard let isOwned = ownAccounts(name, sender) else { return body(.trouble("the accounts' files are damaged")) }
            return body(isOwned ? .owned : .foreign)
        }
        judgeUser(account, sender, body)
    }

    /// A user of the system owns what would be delivered to it: `user@local`, its extensions, and the virtual domains that are prepended with it.
    private func judgeUser(_ user: [UInt8], _ sender: Address, _ body: @escaping (Answer) -> Void) {
        let rewriting = rewriting.refreshed()
        // An account of ours may have the local part of a user's name.
        guard let (channel, recipient, _) = rewriting.channel(of: sender), channel == .local, rewriting.rule(for: sender) != .accounts else {
            return body(.foreign)
        }
        let localPart = Array(recipient.localPart)
        let look = { @Sendable [source] () -> HashPool.Result in
            do throws(LookupTrouble) {
                return try LocalUserDirectory(source).find(localPart[...]).user.name.elementsEqual(user) ? .right : .wrong
            } catch {
                return .trouble("\(error)")
            }
        }
        pool.run(look) { result in
            switch result {
            case .right: body(.owned)
            case .wrong: body(.foreign)
            case .trouble(let text): body(.trouble(text))
            }
        }
    }
}
