import Accounts
import Addresses
import Bytes
import CDB
import Frames
import Routing
import TemporaryFolder
import Testing

@Suite struct AccountRecipientsTests {
    static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    static func recipients() throws -> AccountRecipients {
        let folder = TemporaryFolder()
        var writer = ConstantDatabaseWriter()
        writer.add(key: AccountKey.owner, value: AccountOwner(uid: 7, gid: 8, generation: 1).encoded)
        writer.add(key: AccountKey.domain(bytes("d")), value: DomainRecord.present(catchAll: []).encoded)
        writer.add(key: AccountKey.domain(bytes("old")), value: DomainRecord.removed.encoded)
        for (key, record) in [
            ("joe@d", AddressRecord.mailbox(quota: Quota(bytes: 5, messages: 0), keepsMail: true, forwards: [bytes("x@y")])),
            ("away@d", .mailbox(quota: .none, keepsMail: false, forwards: [bytes("x@y"), bytes("z@y")])),
            ("info@d", .alias(targets: [bytes("joe@d")])),
        ] { writer.add(key: bytes(key), value: record.encoded) }
        folder.write("accounts.cdb", writer.finish())
        return AccountRecipients(try #require(try AccountDirectory.open("\(folder.path)/accounts.cdb")), qmailHome: bytes("/q"))
    }

    static func user(_ name: String, _ home: String, dash: String = "", ext: String = "") -> LocalUser {
        LocalUser(
            name: bytes(name)[...], uid: 7, gid: 8, home: bytes("/q/mailboxes/\(home)")[...], dash: bytes(dash)[...], ext: bytes(ext)[...],
            isConfined: true)
    }

    @Test(arguments: [
        ("joe", "d", AccountRecipients.Recipient.user(user("joe@d", "d/joe"), instructions: bytes("./Maildir/\n&x@y\n"), quota: bytes("5S"))),
        ("Joe-X", "D", .user(user("joe@d", "d/joe", dash: "-", ext: "X"), instructions: bytes("./Maildir/\n&x@y\n"), quota: bytes("5S"))),
        ("away", "d", .user(user("away@d", "d/away"), instructions: bytes("&x@y\n&z@y\n"), quota: [])),
        ("Info", "d", .user(user("Info@d", ".forwarding"), instructions: bytes("&joe@d\n"), quota: [])), ("none", "d", .nobody),
        ("joe", "old", .nobody),
        ("joe", "far", .foreign), ("joe", "", .foreign),
    ])
    func howMailIsDelivered(_ local: String, _ domain: String, _ expected: AccountRecipients.Recipient) throws {
        #expect(try Self.recipients().find(Self.bytes(local)[...], at: Self.bytes(domain)[...]) == expected)
    }
}

/// Accounts behind `locals` and `virtualdomains`.
@Suite struct AccountRewritingTests {
    static let rewriting = AddressRewriting(
        envNoAtHost: Array("me".utf8), percentHack: [Array("hack".utf8)], locals: [Array("local".utf8), Array("both".utf8)],
        virtualDomains: [
            Array("virtual".utf8): Array("p".utf8), Array("joe@acc".utf8): Array("p-q".utf8), Array("not@acc".utf8): [],
            Array(".sub".utf8): Array("s".utf8),
            Array("out".utf8): [],
        ], accountDomains: Set(["acc", "both", "virtual", "a.sub", "out", "xn--bcher-kva"].map { Array($0.utf8) }))

    @Test(arguments: [
        ("x@acc", Channel.local, "x@acc", true), ("X@ACC", .local, "X@ACC", true), ("x%acc@hack", .local, "x@acc", true),
        ("x@bücher", .local, "x@bücher", true),
        ("x@both", .local, "x@both", false), ("x@virtual", .local, "p-x@virtual", false), ("x@a.sub", .local, "s-x@a.sub", false),
        ("joe@acc", .local, "p-q-joe@acc", false), ("not@acc", .remote, "not@acc", true), ("x@out", .remote, "x@out", false),
        ("x@far", .remote, "x@far", true),
        ("x", .remote, "x@me", true), ("x@b.acc", .remote, "x@b.acc", true),
    ])
    func whoDecides(_ recipient: String, _ channel: Channel, _ rewritten: String, _ isLeft: Bool) throws {
        let address = try #require(Address(Array(recipient.utf8)))
        let found = try #require(Self.rewriting.channel(of: address))
        #expect(found.channel == channel)
        #expect(found.recipient.bytes.text == rewritten)
        #expect(Self.rewriting.leavesToAccounts(found.recipient) == isLeft)
    }
}
