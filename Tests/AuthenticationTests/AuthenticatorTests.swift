import Accounts
import Authentication
import CDB
import ControlFiles
import Frames
import Posix
import SASL
import TemporaryFolder
import Testing

/// Hashes are of bcrypt at its least cost: what counts here is how many are computed.
@Suite(.serialized)
struct AuthenticatorTests {
    private static let right = Array("test".utf8)
    private static let hash = Array("$2b$05$abcdefghijklmnopqrstuuMceFj4VbmHOj8C7PetMxzZkwre/z.Ri".utf8)

    /// One question with its own loop: the verdict, and how many hashes it took.
    private func judge(
        _ claim: Claim, _ settings: AuthSettings = AuthSettings(), change: (inout LoginRecord) -> Void = { _ in },
        ask: @escaping Authenticator.Ask = { _, answer in answer(.denied) }
    ) throws -> (Authenticator.Verdict, UInt64) {
        let folder = TemporaryFolder()
        var record = LoginRecord(
            uid: 1001, gid: 1001, home: Array("/home/joe".utf8), mailbox: Array("Maildir".utf8), isConfined: false,
            passwords: [LoginRecord.Password(hash: Self.hash)])
        change(&record)
        var writer = ConstantDatabaseWriter()
        writer.add(key: Array("joe@example.org".utf8), value: try #require(record.encoded))
        folder.write("accounts.cdb", writer.finish())
        let loop = try EventLoop()
        let pool = try HashPool(threads: 1, on: loop)
        let watched = try Watched([]) {
            settings
        } complain: { _ in
        }
        let authenticator = Authenticator(watched, try AccountDatabase("\(folder.path)/accounts.cdb"), pool, ask: ask)
        var found: Authenticator.Verdict?
        authenticator.judge(claim, Authenticator.Circumstances(service: .pop3, address: [])) {
            found = $0
            loop.stop()
        }
        if found == nil { loop.run() }
        return (try #require(found), pool.computed)
    }

    private func password(_ login: String, _ password: [UInt8] = right) -> Claim { .password(login: Array(login.utf8), password) }

    private static let joe = VerifiedAccount(
        account: Array("joe@example.org".utf8), uid: 1001, gid: 1001, home: Array("/home/joe".utf8), mailbox: Array("Maildir".utf8), isConfined: false
    )

    @Test func theRightPassword() throws {
        let (verdict, hashes) = try judge(password("Joe@Example.ORG"))
        #expect(verdict == .accepted(Self.joe))
        #expect(hashes == 1)
    }

    /// hardening.md "AUTH": the work of a no is the same for all who have one password.
    @Test(arguments: ["joe@example.org", "nobody@example.org", "nobody", ""])
    func allNosCostTheSame(_ login: String) throws {
        let (verdict, hashes) = try judge(password(login, Array("wrong".utf8)))
        #expect(verdict == .rejected)
        #expect(hashes == 1)
    }

    private static let changes: [@Sendable (inout LoginRecord) -> Void] = [
        { $0.isDisabled = true }, { $0.uid = 0 }, { $0.uid = 99 }, { $0.gid = 0 }, { $0.home = [] }, { $0.mailbox = [0x2F] }, { $0.mailbox = [] },
        { $0.passwords = [] }, { $0.passwords[0].hash = [0x21] + hash },
    ]

    @Test(arguments: changes.indices) func whoIsRefusedWithTheRightPassword(_ change: Int) throws {
        let (verdict, hashes) = try judge(password("joe@example.org"), change: Self.changes[change])
        #expect(verdict == .rejected)
        #expect(hashes == 1)
    }

    @Test func allPasswordsOfAnAccountAreLookedAt() throws {
        let (verdict, hashes) = try judge(password("joe@example.org")) {
            $0.passwords = [.init(hash: Array("$1$abcdefgh$x".utf8)), .init(hash: Self.hash, label: [1]), .init(hash: Array("ab".utf8), label: [2])]
        }
        #expect(verdict == .accepted(Self.joe))
        #expect(hashes == 3)
    }

    @Test func aDomainIsAddedWhereTheSiteSaysSo() throws {
        var settings = AuthSettings()
        #expect(try judge(password("joe"), settings).0 == .rejected)
        settings.loginDomain = Array("example.org".utf8)
        #expect(try judge(password("joe"), settings).0 == .accepted(Self.joe))
        #expect(try judge(password("joe@example.com"), settings).0 == .rejected)
    }

    @Test func digestsNeedTheSecret() throws {
        let digest = Claim.digest(Claim.Digest(login: Array("joe@example.org".utf8), challenge: [1], kind: .cramMD5, secret: Self.right))
        #expect(try judge(digest).0 == .rejected)
        #expect(try judge(digest) { $0.secret = Self.right }.0 == .accepted(Self.joe))
        #expect(try judge(digest) { $0.secret = Array("other".utf8) }.0 == .rejected)
    }

    /// An account of ours is never asked for elsewhere: its passwords would travel there.
    @Test func theFirstThatHasTheAccountDecides() throws {
        let settings = AuthSettings(backends: [.accounts, .check(.system, program: [])])
        var asked: [[UInt8]] = []
        let ask: Authenticator.Ask = { question, answer in
            asked.append(Array(question.login))
            answer(.identity(uid: 1001, gid: 1001, user: question.login, home: Array("/home/joe".utf8)[...]))
        }
        #expect(try judge(password("joe@example.org", [1]), settings, ask: ask).0 == .rejected)
        #expect(try judge(password("ann@example.org"), settings, ask: ask).0 == .rejected)
        #expect(asked.isEmpty)
        guard case .accepted(let found) = try judge(password("ann"), settings, ask: ask).0 else {
            Issue.record("not let in")
            return
        }
        #expect(found.account == Array("ann".utf8))
        #expect(asked == [Array("ann".utf8)])
    }

    @Test func troubleIsNoVerdict() throws {
        let settings = AuthSettings(backends: [.check(.pam, program: []), .accounts])
        let verdict = try judge(password("joe"), settings, ask: { _, answer in answer(.trouble(Array("away".utf8)[...])) }).0
        #expect(verdict == .trouble("away"))
    }

    /// Whoever asks with and without the domain must not see by the salt whether there is such an account.
    @Test func saltsOfNobodyAreAsConstantAsOthers() throws {
        var settings = AuthSettings()
        settings.loginDomain = Array("example.org".utf8)
        let loop = try EventLoop()
        let watched = try Watched([]) {
            settings
        } complain: { _ in
        }
        let folder = TemporaryFolder()
        let authenticator = Authenticator(
            watched, try AccountDatabase("\(folder.path)/none.cdb"), try HashPool(threads: 1, on: loop), ask: { _, answer in answer(.denied) })
        let salts = ["nobody", "NOBODY", "nobody@example.org", "Nobody@Example.org"].map { authenticator.keys(of: Array($0.utf8)).salt }
        #expect(Set(salts).count == 1)
        #expect(authenticator.keys(of: Array("nobody@example.com".utf8)).salt != salts[0])
    }

    @Test(arguments: [
        ("accounts", Backend.accounts), ("system", .check(.system, program: [])), ("pam", .check(.pam, program: [])),
        ("shadow", .check(.shadow, program: [])),
        ("program /bin/x y", .check(.program, program: Array("/bin/x y".utf8))), ("program x", nil), ("program", nil), ("", nil), ("ACCOUNTS", nil),
    ])
    func backends(_ line: String, _ backend: Backend?) { #expect(Backend(Array(line.utf8)) == backend) }
}
