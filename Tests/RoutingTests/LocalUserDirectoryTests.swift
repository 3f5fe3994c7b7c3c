import CDB
import Frames
import Glibc
import Routing
import TemporaryFolder
import Testing

/// Accounts as a table; homes belong to those listed.
struct TableOfAccounts: AccountSource {
    var accounts: [String: UInt32] = [:]
    /// Homes that are someone else's.
    var homes: [String: UInt32] = [:]
    var homeless: Set<String> = []
    var trouble: String?
    var aliasHome = "/alias"

    func account(named name: [UInt8]) throws(LookupTrouble) -> MailAccount? {
        let text = String(decoding: name, as: UTF8.self)
        if text == trouble { throw .accounts }
        return accounts[text].map { MailAccount(name: name, uid: $0, gid: $0 + 1, home: bytes("/home/\(text)")) }
    }

    func owner(ofHome path: [UInt8]) throws(LookupTrouble) -> UInt32? {
        let name = String(decoding: path.dropFirst(6), as: UTF8.self)
        if name == "nfs" { throw .home }
        return homeless.contains(name) ? nil : homes[name] ?? accounts[name]
    }

    func alias() throws(LookupTrouble) -> MailAccount {
        guard aliasHome != "" else { throw .noAlias }
        return MailAccount(name: bytes("alias"), uid: 7, gid: 8, home: bytes(aliasHome))
    }
}

/// spec-qmail §6.5.
@Suite struct PasswordRulesTests {
    let long31 = String(repeating: "l", count: 31)
    let long32 = String(repeating: "m", count: 32)

    var rules: PasswordRules {
        PasswordRules(
            TableOfAccounts(
                accounts: ["joe": 100, "joe-list": 101, "root": 0, "foreign": 102, "nohome": 103, "nfs": 104, long31: 105, long32: 106],
                homes: ["foreign": 999], homeless: ["nohome"], trouble: "ldap"))
    }

    @Test(arguments: [
        ("joe", "joe", "", ""), ("JOE", "joe", "", ""), ("joe-Ext", "joe", "-", "Ext"), ("joe-", "joe", "-", ""), ("Joe-a-b", "joe", "-", "a-b"),
        // The longest name wins.
        ("joe-list-x", "joe-list", "-", "x"), ("joe-list", "joe-list", "", ""), ("joe-lists", "joe", "-", "lists"),
        // No candidate: uid 0, another's home, no home, longer than 31 bytes.
        ("root", "alias", "-", "root"), ("foreign-x", "alias", "-", "foreign-x"), ("nohome", "alias", "-", "nohome"),
        (String(repeating: "l", count: 31), String(repeating: "l", count: 31), "", ""),
        (String(repeating: "m", count: 32), "alias", "-", String(repeating: "m", count: 32)),
        ("joex", "alias", "-", "joex"), ("-joe", "alias", "-", "-joe"), ("Info.Desk", "alias", "-", "Info.Desk"),
    ])
    func localPartBelongsTo(_ localPart: String, _ name: String, _ dash: String, _ ext: String) throws {
        let user = try rules.user(of: bytes(localPart)[...])
        #expect(Array(user.name) == bytes(name))
        #expect(Array(user.dash) == bytes(dash))
        #expect(Array(user.ext) == bytes(ext))
    }

    @Test func troubleDefers() {
        #expect(throws: LookupTrouble.accounts) { try rules.user(of: bytes("ldap")[...]) }
        #expect(throws: LookupTrouble.home) { try rules.user(of: bytes("nfs-x")[...]) }
        #expect(throws: LookupTrouble.noAlias) { try PasswordRules(TableOfAccounts(aliasHome: "")).user(of: bytes("x")[...]) }
        #expect(LookupTrouble.noAlias.report == DeliveryReport(.deferred, "Unable to find alias user!\n"))
    }

    @Test func thisSystemsAccountsAreFound() throws {
        let root = try #require(try SystemAccounts().account(named: bytes("root")))
        #expect(root.uid == 0)
        #expect(try SystemAccounts().account(named: bytes("no-such-account")) == nil)
        #expect(try SystemAccounts().account(named: []) == nil)
    }
}

/// spec-qmail §6.2, §6.3.
@Suite struct LocalUserDirectoryTests {
    let home = TemporaryFolder()

    func directory(_ lines: [(key: String, value: String)], aliasHome: String = "/alias") -> LocalUserDirectory {
        var writer = ConstantDatabaseWriter()
        for line in lines { writer.add(key: bytes(line.key), value: bytes(line.value)) }
        home.write("cdb", writer.finish())
        return LocalUserDirectory(TableOfAccounts(accounts: ["joe": 100], aliasHome: aliasHome), databasePath: "\(home.path)/cdb")
    }

    func user(_ name: String, _ uid: UInt32, _ dash: String, _ ext: String) -> LocalUser {
        LocalUser(name: bytes(name)[...], uid: uid, gid: uid + 1, home: bytes("/h/\(name)")[...], dash: bytes(dash)[...], ext: bytes(ext)[...])
    }

    @Test func linesAnswerBeforeAccounts() throws {
        let found = directory([
            ("!joe\0", "x\u{0}500\u{0}501\u{0}/h/x\u{0}\u{0}"), ("!info-", "i\u{0}600\u{0}601\u{0}/h/i\u{0}-\u{0}pre-"),
            ("!info-deep-", "d\u{0}700\u{0}701\u{0}/h/d\u{0}-\u{0}"), ("", "-"),
        ])
        #expect(try found.find(bytes("Joe")[...]).user == user("x", 500, "", ""))
        #expect(try found.find(bytes("Joe")[...]).verdict == .exists)
        #expect(try found.find(bytes("joe-x")[...]).user.name.elementsEqual("joe".utf8))
        #expect(try found.find(bytes("INFO-Some.One")[...]).user == user("i", 600, "-", "pre-Some.One"))
        #expect(try found.find(bytes("INFO-Some.One")[...]).verdict == .unknown)
        #expect(try found.find(bytes("info-deep-X")[...]).user == user("d", 700, "-", "X"))
        #expect(try found.find(bytes("info")[...]).user.name.elementsEqual("alias".utf8))
    }

    @Test func theEmptyPrefixCatchesAll() throws {
        let found = directory([("!", "all\u{0}500\u{0}501\u{0}/h/all\u{0}-\u{0}"), ("", "")])
        #expect(try found.find(bytes("Joe")[...]).user == user("all", 500, "-", "Joe"))
    }

    @Test(arguments: [
        "x", "x\u{0}500\u{0}501\u{0}/h", "x\u{0}-1\u{0}501\u{0}/h\u{0}\u{0}", "x\u{0}4294967295\u{0}501\u{0}/h\u{0}\u{0}",
        "x\u{0}4294967296\u{0}501\u{0}/h\u{0}\u{0}", "x\u{0}500\u{0}501\u{0}relative\u{0}\u{0}", "x\u{0}\u{0}501\u{0}/h\u{0}\u{0}", "",
    ])
    func aBadRecordDefers(_ value: String) {
        #expect(throws: LookupTrouble.usersDatabase) { try directory([("!joe\0", value)]).find(bytes("joe")[...]) }
    }

    @Test func aDamagedDatabaseDefers() {
        home.write("cdb", "garbage")
        let found = LocalUserDirectory(TableOfAccounts(), databasePath: "\(home.path)/cdb")
        #expect(throws: LookupTrouble.usersDatabase) { try found.find(bytes("joe")[...]) }
    }

    @Test func aNewDatabaseIsSeenAtOnce() throws {
        let found = directory([])
        #expect(try found.find(bytes("joe")[...]).user.uid == 100)
        _ = directory([("!joe\0", "x\u{0}500\u{0}501\u{0}/h/x\u{0}\u{0}")])
        #expect(try found.find(bytes("joe")[...]).user.uid == 500)
        unlink("\(home.path)/cdb")
        #expect(try found.find(bytes("joe")[...]).user.uid == 100)
    }

    /// Alias's names are the only ones that route looks at.
    @Test(
        arguments: [
            ("info", .exists), ("INFO", .exists), ("first.last", .exists), ("first:last", .exists), ("list-request", .exists), ("list", .nonexistent),
            ("other", .nonexistent), ("folder", .nonexistent), ("../../etc/passwd", .nonexistent), (String(repeating: "x", count: 300), .nonexistent),
            ("joe", .exists), ("joe-ext", .unknown), ("default", .nonexistent), ("sub/file", .exists),
        ] as [(String, Route.Verdict)])
    func aliasKnowsWhatExists(_ localPart: String, _ verdict: Route.Verdict) throws {
        for name in [".qmail-info", ".qmail-first:last", ".qmail-list-default"] { home.write(name, "&x@example.org\n") }
        home.makeFolder(".qmail-folder")
        home.makeFolder(".qmail-sub")
        home.write(".qmail-sub/file", "")
        #expect(try directory([], aliasHome: home.path).find(bytes(localPart)[...]).verdict == verdict)
    }

    /// Sticky, or writable by all: mail waits.
    @Test(arguments: [0o1755, 0o757] as [mode_t]) func whileMailWaitsNothingIsCertain(_ mode: mode_t) throws {
        chmod(home.path, mode)
        #expect(try directory([], aliasHome: home.path).find(bytes("nobody")[...]).verdict == .unknown)
    }

    @Test func withoutAliasHomeNothingIsCertain() throws {
        #expect(try directory([], aliasHome: "/nonexistent").find(bytes("nobody")[...]).verdict == .unknown)
    }
}

@Suite struct CheckoutAccountsTests {
    let home = TemporaryFolder()

    @Test func homesBelowTheQmailHomeAreUsers() throws {
        home.makeFolder("home")
        home.makeFolder("home/alice")
        home.makeFolder("home/.hidden")
        let accounts = CheckoutAccounts(
            qmailHome: bytes(home.path), uid: geteuid(), gid: getegid(), system: TableOfAccounts(accounts: ["bob": geteuid(), "carl": 12345]))
        #expect(try accounts.account(named: bytes("alice"))?.home == bytes("\(home.path)/home/alice"))
        for name in ["mallory", "..", ".", ".hidden", "a/b", "../home/alice", "", "carl"] {
            #expect(try accounts.account(named: bytes(name)) == nil, "\(name)")
        }
        #expect(try accounts.account(named: bytes("bob"))?.home == bytes("/home/bob"))
        #expect(try accounts.alias().home == bytes("\(home.path)/alias"))
    }

    @Test func aHomeOfAnotherUidIsNone() throws {
        home.makeFolder("home")
        home.makeFolder("home/alice")
        let accounts = CheckoutAccounts(qmailHome: bytes(home.path), uid: geteuid() + 1, gid: getegid(), system: TableOfAccounts())
        #expect(try accounts.account(named: bytes("alice")) == nil)
    }
}
