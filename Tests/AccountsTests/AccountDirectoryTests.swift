import Accounts
import Addresses
import Bytes
import CDB
import TemporaryFolder
import Testing

/// `users/accounts.cdb`, from its records to answers.
@Suite struct AccountDirectoryTests {
    static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test(arguments: [
        AddressRecord.mailbox(quota: .none, keepsMail: true, forwards: []),
        .mailbox(quota: Quota(bytes: .max, messages: .max), keepsMail: false, forwards: [bytes("a@b"), bytes("c@d")]),
        .alias(targets: [bytes("x@y")]),
        .alias(targets: []),
    ])
    func addressRecords(_ record: AddressRecord) {
        #expect(AddressRecord(record.encoded) == record)
        for length in 0..<min(14, record.encoded.count) where length != 1 || record.encoded[0] != UInt8(ascii: "A") {
            #expect(AddressRecord(Array(record.encoded.prefix(length))) == nil, "\(length)")
        }
        #expect(AddressRecord(record.encoded + [0]) == nil)
    }

    @Test(arguments: [DomainRecord.present(catchAll: []), .present(catchAll: [bytes("x@y")]), .removed])
    func domainRecords(_ record: DomainRecord) {
        #expect(DomainRecord(record.encoded) == record)
    }

    @Test(arguments: [[], [0], [UInt8(ascii: "X")], [UInt8(ascii: "D"), 1]])
    func damagedDomainRecords(_ bytes: [UInt8]) {
        #expect(DomainRecord(bytes) == nil)
    }

    @Test(arguments: [
        (Quota.none, ""), (Quota(bytes: 10, messages: 0), "10S"), (Quota(bytes: 0, messages: 3), "3C"), (Quota(bytes: 10, messages: 3), "10S,3C"),
    ])
    func quotasInTheNotationOfMaildir(_ quota: Quota, _ expected: String) {
        #expect(quota.maildirNotation == expected)
    }

    /// joe and joe-list are mailboxes, info an alias of joe, loop leads to itself; gone.example was ours once; all.example has a catch-all.
    static func directory() throws -> AccountDirectory {
        let folder = TemporaryFolder()
        var writer = ConstantDatabaseWriter()
        writer.add(key: AccountKey.owner, value: AccountOwner(uid: 7, gid: 8, generation: 9).encoded)
        var names: [UInt8] = []
        names.append(list: [bytes("example.org"), bytes("all.example"), bytes("xn--bcher-kva.example")])
        writer.add(key: AccountKey.domains, value: names)
        for (name, record) in [
            ("example.org", DomainRecord.present(catchAll: [])), ("all.example", .present(catchAll: [bytes("joe@example.org")])),
            ("gone.example", .removed),
            ("xn--bcher-kva.example", .present(catchAll: [])),
        ] { writer.add(key: AccountKey.domain(bytes(name)), value: record.encoded) }
        for (name, record) in [
            ("joe@example.org", AddressRecord.mailbox(quota: .none, keepsMail: true, forwards: [])),
            ("joe-list@example.org", .mailbox(quota: .none, keepsMail: true, forwards: [])),
            ("ann@example.org", .mailbox(quota: .none, keepsMail: true, forwards: [bytes("joe@example.org")])),
            ("info@example.org", .alias(targets: [bytes("Joe@Example.org"), bytes("x@far.example")])),
            ("sales@example.org", .alias(targets: [bytes("info@example.org")])), ("loop@example.org", .alias(targets: [bytes("loop@example.org")])),
            ("joe@xn--bcher-kva.example", .mailbox(quota: .none, keepsMail: true, forwards: [])),
            ("left@gone.example", .alias(targets: [bytes("x@y")])),
        ] { writer.add(key: bytes(name), value: record.encoded) }
        folder.write("accounts.cdb", writer.finish())
        return try #require(try AccountDirectory.open("\(folder.path)/accounts.cdb"))
    }

    @Test(arguments: [
        ("joe", "example.org", "joe@example.org"), ("JOE", "EXAMPLE.org", "joe@example.org"), ("joe+tag", "example.org", "joe@example.org"),
        ("joe+a-b", "example.org", "joe@example.org"), ("joe-x", "example.org", "joe@example.org -x"),
        ("joe-x-y", "example.org", "joe@example.org -x-y"),
        ("joe-X+y", "example.org", "joe@example.org -X+y"), ("joe-", "example.org", "joe@example.org -"),
        ("joe-list", "example.org", "joe-list@example.org"), ("joe-list-x", "example.org", "joe-list@example.org -x"),
        ("info", "example.org", "to Joe@Example.org x@far.example"), ("info+x", "example.org", "to Joe@Example.org x@far.example"),
        ("info-x", "example.org", "nobody"),
        ("other", "example.org", "nobody"), ("", "example.org", "nobody"), ("joe", "far.example", "nobody"),
        ("any/thing at all", "all.example", "to joe@example.org"),
        ("left", "gone.example", "nobody"), ("joe", "bücher.example", "joe@xn--bcher-kva.example"), ("joe", "", "nobody"),
        ("../joe", "example.org", "nobody"),
    ])
    func whoHasAnAddress(_ local: String, _ domain: String, _ expected: String) throws {
        let found =
            switch try Self.directory().find(Self.bytes(local), at: Self.bytes(domain)) {
            case .mailbox(let address, _, _, _, let ext): address.bytes.text + (ext.map { " -\($0.text)" } ?? "")
            case .targets(let targets): "to \(targets.map(\.text).joined(separator: " "))"
            case .nobody: "nobody"
            }
        #expect(found == expected)
    }

    @Test(arguments: [
        ("joe@example.org", "joe@example.org", true), ("joe@example.org", "JOE@Example.org", true), ("JOE@example.org", "joe@example.org", true),
        ("joe@example.org", "joe-x@example.org", true), ("joe@example.org", "joe+x@example.org", true), ("joe@example.org", "info@example.org", true),
        ("joe@example.org", "sales@example.org", true), ("joe@example.org", "whatever@all.example", true),
        ("joe@example.org", "ann@example.org", false),
        ("joe@example.org", "joe-list@example.org", false), ("joe@example.org", "loop@example.org", false),
        ("joe@example.org", "x@far.example", false),
        ("joe@example.org", "", false), ("joe@example.org", "other@example.org", false), ("ann@example.org", "joe@example.org", false),
        ("", "", false),
        ("x@far.example", "x@far.example", false), ("x@y", "left@gone.example", false),
    ])
    func whoMaySendAs(_ account: String, _ sender: String, _ expected: Bool) throws {
        let address = try #require(Address(Self.bytes(sender)))
        #expect(try Self.directory().owns(account: Self.bytes(account), sender: address) == expected)
    }

    @Test func namesOfDomains() throws {
        #expect(try Self.directory().domains() == Set(["example.org", "all.example", "xn--bcher-kva.example"].map(Self.bytes)))
        #expect(try Self.directory().owner == AccountOwner(uid: 7, gid: 8, generation: 9))
    }

    /// Trouble is not absence.
    @Test(arguments: [[], [1, 2, 3], [UInt8](repeating: 0, count: 2048), [UInt8](repeating: 255, count: 4096)])
    func damage(_ bytes: [UInt8]) throws {
        let folder = TemporaryFolder()
        folder.write("accounts.cdb", bytes)
        #expect(throws: AccountDirectory.Failure.damaged) { try AccountDirectory.open("\(folder.path)/accounts.cdb") }
        #expect(try AccountDirectory.open("\(folder.path)/none") == nil)
    }

    @Test func aRecordThatDoesNotParse() throws {
        let folder = TemporaryFolder()
        var writer = ConstantDatabaseWriter()
        writer.add(key: AccountKey.owner, value: AccountOwner(uid: 7, gid: 8, generation: 9).encoded)
        writer.add(key: AccountKey.domain(Self.bytes("a")), value: DomainRecord.present(catchAll: []).encoded)
        writer.add(key: Self.bytes("x@a"), value: [0])
        folder.write("accounts.cdb", writer.finish())
        let directory = try #require(try AccountDirectory.open("\(folder.path)/accounts.cdb"))
        #expect(throws: AccountDirectory.Failure.damaged) { try directory.find(Self.bytes("x"), at: Self.bytes("a")) }
    }
}
