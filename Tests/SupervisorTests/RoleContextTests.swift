import RoleContext
import Testing

struct RoleContextTests {
    private let accounts = Accounts(
        Accounts.names.enumerated().map { Accounts.Account(name: $1, uid: UInt32(100 + $0), gid: 90) },
        own: Accounts.Account(name: "root", uid: 0, gid: 0))

    @Test func whatTheSupervisorGivesARoleArrives() throws {
        let names = ["127.0.0.1:25", "[::1]:25", "unix:/a b,c"]
        let given = RoleContext(
            role: "smtpd", worker: 3, workers: 4, sockets: names.enumerated().map { (name: $1, descriptor: Int32(20 + $0)) },
            accounts: accounts)
        let got = try #require(RoleContext(arguments: given.arguments[...], accountsText: given.accountsText))
        #expect(got.role == "smtpd")
        #expect(got.worker == 3)
        #expect(got.workers == 4)
        // The numbers are the role's own, in the order of the names.
        #expect(got.sockets.map(\.name) == names)
        #expect(got.sockets.map(\.descriptor) == [3, 4, 5])
        #expect(got.accounts.isPrivileged)
        #expect(Accounts.names.map { got.accounts[$0] } == Accounts.names.map { accounts[$0] })
        #expect(got.accounts["nobody's"] == Accounts.Account(name: "root", uid: 0, gid: 0))
    }

    @Test func anUnprivilegedInstallHasOneAccountForAll() throws {
        let given = RoleContext(role: "dns", worker: 0, sockets: [], accounts: .unprivileged(uid: 7, gid: 8))
        #expect(given.accountsText == nil)
        let got = try #require(RoleContext(arguments: given.arguments[...], accountsText: nil))
        #expect(!got.accounts.isPrivileged)
        #expect(got.accounts["qmailq"] == got.accounts["qmailr"])
    }

    @Test(arguments: [
        [], ["--role"], ["--role", "dns"], ["--worker", "0"], ["--role", "dns", "--worker", "x"], ["--role", "dns", "--worker", "-1"],
        ["--role", "dns", "--worker", "99999"], ["--role", "dns", "--worker", "0", "--socket"], ["--role", "dns", "--worker", "0", "--other", "x"],
    ])
    func otherArgumentsAreRefused(arguments: [String]) {
        #expect(RoleContext(arguments: arguments[...], accountsText: nil) == nil)
    }

    @Test(arguments: ["", "alias", "alias:1:2", "alias:1:2 qmaild:x:2", "alias:1:2:3", "root:0:0"])
    func otherAccountsAreRefused(text: String) {
        #expect(RoleContext(arguments: ["--role", "dns", "--worker", "0"], accountsText: text) == nil)
    }
}
