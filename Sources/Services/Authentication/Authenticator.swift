private import Accounts
private import Bytes
package import ControlFiles
package import Frames
private import Posix
package import SASL

/// Asks the back ends, in the site's order, whether a claim is true. The first that has the account decides.
package final class Authenticator {
    package enum Verdict: Equatable, Sendable {
        case accepted(VerifiedAccount)
        /// Unknown, wrong, disabled, not allowed: nobody outside learns which.
        case rejected
        /// For the log.
        case trouble(String)
    }

    /// Where the claim was made.
    package struct Circumstances: Sendable {
        package var service: Login.Service
        /// In text.
        package var address: [UInt8]

        package init(service: Login.Service, address: [UInt8]) {
            self.service = service
            self.address = address
        }
    }

    package typealias Ask = (Check.Question, @escaping (Check.Answer) -> Void) -> Void

    private let settings: Watched<AuthSettings>
    private let database: AccountDatabase
    private let pool: HashPool
    private let ask: Ask
    /// Makes the salts that accounts would have that are not there.
    private let decoySeed = randomBytes(32)
    /// What those accounts are hashed by: as the last one that was there, so that the work is of the site's usual kind.
    private var decoyHash = PasswordHash.decoy

    /// - Parameter ask: has `martlet-authcheck` answer.
    package init(_ settings: Watched<AuthSettings>, _ database: AccountDatabase, _ pool: HashPool, ask: @escaping Ask) {
        self.settings = settings
        self.database = database
        self.pool = pool
        self.ask = ask
    }

    // MARK: - Passwords and digests

    package func judge(_ claim: Claim, _ circumstances: Circumstances, _ body: @escaping (Verdict) -> Void) {
        judge(claim, circumstances, settings.refreshed().backends[...], body)
    }

    private func judge(_ claim: Claim, _ circumstances: Circumstances, _ backends: ArraySlice<Backend>, _ body: @escaping (Verdict) -> Void) {
        var rest = backends
        while let backend = rest.popFirst() {
            switch backend {
            case .accounts:
                let found: Found
                do throws(AccountDatabase.Failure) { found = try find(claim.login) } catch { return body(.trouble("\(LoginRecord.path) is damaged")) }
                if case .account(let name, let record) = found { return judge(claim, name, record, body) }
            case .check(let method, let program):
                guard let question = question(claim, circumstances, method, program) else { continue }
                return ask(question) { [weak self] answer in
                    guard let self else { return }
                    switch answer {
                    case .identity(let uid, let gid, let user, let home):
                        body(
                            admit(
                                VerifiedAccount(
                                    account: Array(user), uid: uid, gid: gid, home: Array(home), mailbox: settings.value.systemMailbox,
                                    isConfined: false)))
                    case .denied: rest.isEmpty ? body(.rejected) : judge(claim, circumstances, rest, body)
                    case .trouble(let text): body(.trouble(text.text))
                    }
                }
            }
        }
        reject(claim, body)
    }

    /// Of an account of ours.
    private func judge(_ claim: Claim, _ name: [UInt8], _ record: LoginRecord, _ body: @escaping (Verdict) -> Void) {
        let identity = VerifiedAccount(
            account: name, uid: record.uid, gid: record.gid, home: record.home, mailbox: record.mailbox, isConfined: record.isConfined)
        let conclude = { [weak self] (isRight: Bool) in
            body(isRight && !record.isDisabled ? self?.admit(identity) ?? .rejected : .rejected)
        }
        switch claim {
        case .digest(let digest): conclude(digest.isMade(with: record.secret ?? decoySeed) && record.secret != nil)
        case .password(_, let password):
            let hashes = record.passwords.map(\.hash)
            guard let first = hashes.first else { return reject(claim, body) }
            decoyHash = first
            pool.verify(password, hashes) { result in
                if case .trouble(let text) = result { return body(.trouble(text)) }
                conclude(result == .right)
            }
        }
    }

    /// As much work as for an account that is there.
    private func reject(_ claim: Claim, _ body: @escaping (Verdict) -> Void) {
        switch claim {
        case .digest(let digest):
            _ = digest.isMade(with: decoySeed)
            body(.rejected)
        case .password(_, let password):
            pool.verify(password, [decoyHash]) { result in
                if case .trouble(let text) = result { body(.trouble(text)) } else { body(.rejected) }
            }
        }
    }

    // MARK: - SCRAM

    /// Never nil, never a sign whether the account is there.
    package func keys(of login: [UInt8]) -> SCRAMKeys {
        guard settings.refreshed().backends.contains(.accounts), case .account(_, let record) = try? find(login), let found = record.scram,
            !record.isDisabled
        else { return SCRAMKeys.decoy(login: address(of: login), seed: decoySeed) }
        return SCRAMKeys(salt: found.salt, iterations: found.iterations, storedKey: found.storedKey, serverKey: found.serverKey)
    }

    /// An account of ours whose keys were right.
    package func identify(_ login: [UInt8]) -> Verdict {
        guard case .account(let name, let record) = try? find(login), !record.isDisabled, record.scram != nil else { return .rejected }
        return admit(
            VerifiedAccount(
                account: name, uid: record.uid, gid: record.gid, home: record.home, mailbox: record.mailbox, isConfined: record.isConfined))
    }

    // MARK: - Rules

    /// hardening.md "POP3D as root": nothing that anybody logs in to runs as root or a role.
    private func admit(_ identity: VerifiedAccount) -> Verdict {
        let least = max(settings.value.leastUID, 1)
        guard identity.uid >= least, identity.gid != 0 else {
            log("auth: \(logsafe(identity.account)) has uid \(identity.uid), gid \(identity.gid): refused, see control/minuid")
            return .rejected
        }
        guard identity.home.first == ASCII.slash, !identity.home.contains(ASCII.nul), !identity.mailbox.isEmpty,
            identity.mailbox.first != ASCII.slash, !identity.mailbox.contains(ASCII.nul)
        else {
            log("auth: \(logsafe(identity.account)) has no absolute home, or no mailbox in it: refused")
            return .rejected
        }
        return .accepted(identity)
    }

    private enum Found {
        case account(name: [UInt8], LoginRecord)
        case nobody
    }

    private func find(_ login: [UInt8]) throws(AccountDatabase.Failure) -> Found {
        let name = address(of: login)
        // The empty key is no account's.
        guard !name.isEmpty else { return .nobody }
        return try database.record(of: name).map { .account(name: name, $0) } ?? .nobody
    }

    /// As the accounts' file has it.
    private func address(of login: [UInt8]) -> [UInt8] {
        let name = login.lowercasedASCII()
        let domain = settings.value.loginDomain
        return name.contains(ASCII.at) || domain.isEmpty ? name : name + [ASCII.at] + domain
    }

    /// - Returns: nil when the back end cannot have such an account.
    private func question(_ claim: Claim, _ circumstances: Circumstances, _ method: Check.Method, _ program: [UInt8]) -> Check.Question? {
        let address = circumstances.address[...]
        switch claim {
        case .password(let login, let password):
            guard let name = method == .program ? login : systemName(login) else { return nil }
            return Check.Question(
                method, circumstances.service, program: program[...], login: name[...], password: password[...], address: address)
        case .digest(let digest):
            guard method == .program else { return nil }
            // What patches for SMTP AUTH made of the interface: CRAM-MD5's challenge is the password, its response the timestamp (spec-qmail §16.2).
            let isAPOP = digest.kind == .apop
            return Check.Question(
                method, circumstances.service, program: program[...], login: digest.login[...],
                password: (isAPOP ? digest.hexadecimal : digest.challenge)[...], timestamp: (isAPOP ? digest.challenge : digest.hexadecimal)[...],
                address: address)
        }
    }

    /// One name for all ways to write a login, for counting failures.
    package func canonical(_ login: [UInt8]) -> [UInt8] {
        address(of: systemName(login) ?? login)
    }

    /// `user`, or `user@domain` with a domain of `control/locals`.
    private func systemName(_ login: [UInt8]) -> [UInt8]? {
        guard let at = login.lastIndex(of: ASCII.at) else { return login }
        return settings.value.locals.contains(login[(at + 1)...].lowercasedASCII()) ? Array(login[..<at]) : nil
    }
}
