import Addresses
import ControlFiles
import Routing
import TemporaryFolder
import Testing

/// spec-qmail §6.1.
@Suite struct AddressRewritingTests {
    let rewriting = AddressRewriting(
        envNoAtHost: bytes("default.example"), percentHack: [bytes("hack.example"), bytes("Hack2.example")],
        locals: [bytes("Local.Example"), bytes("[192.0.2.1]"), bytes("both.example")],
        virtualDomains: [
            bytes("virtual.example"): bytes("joe"), bytes("fred@virtual.example"): bytes("fred"), bytes(".wild.example"): bytes("w"),
            bytes(".deep.wild.example"): bytes("deep"), bytes("except.wild.example"): [], bytes("no@virtual.example"): [],
            bytes("both.example"): bytes("v"),
        ])

    /// The line that decided, for people.
    @Test(
        arguments: [
            ("Bob@LOCAL.example", .locals), ("x@both.example", .locals), ("bob%local.example@hack.example", .locals),
            ("Any@Virtual.Example", .virtualDomain(key: bytes("virtual.example"), prepend: bytes("joe"))),
            ("FRED@virtual.example", .virtualDomain(key: bytes("fred@virtual.example"), prepend: bytes("fred"))),
            ("x@a.b.wild.example", .virtualDomain(key: bytes(".wild.example"), prepend: bytes("w"))),
            ("no@virtual.example", .virtualDomain(key: bytes("no@virtual.example"), prepend: [])), ("bob", .none), ("x@elsewhere.example", .none),
        ] as [(String, AddressRewriting.Rule)])
    func rule(recipient: String, rule: AddressRewriting.Rule) throws {
        #expect(rewriting.rule(for: try #require(Address(recipient.utf8))) == rule)
    }

    @Test(
        arguments: [
            // locals: the domain without case, the address unchanged.
            ("Bob@LOCAL.example", .local, "Bob@LOCAL.example"),
            ("a@b@local.example", .local, "a@b@local.example"),
            ("x@[192.0.2.1]", .local, "x@[192.0.2.1]"),
            ("x@both.example", .local, "x@both.example"),
            ("@local.example", .local, "@local.example"),
            // No @.
            ("bob", .remote, "bob@default.example"),
            ("", .remote, "@default.example"),
            // percenthack, also several times, also with nothing to cut.
            ("bob%local.example@hack.example", .local, "bob@local.example"),
            ("bob%local.example%HACK2.EXAMPLE@hack.example", .local, "bob@local.example"),
            ("bob%other.example@local.example", .local, "bob%other.example@local.example"),
            ("bob@hack.example", .remote, "bob@hack.example"),
            ("%@hack.example", .remote, "@"),
            // virtualdomains: full address, domain, suffixes longest first.
            ("Any@Virtual.Example", .local, "joe-Any@Virtual.Example"),
            ("FRED@virtual.example", .local, "fred-FRED@virtual.example"),
            ("x@a.b.wild.example", .local, "w-x@a.b.wild.example"),
            ("x@a.deep.wild.example", .local, "deep-x@a.deep.wild.example"),
            ("x@wild.example", .remote, "x@wild.example"),
            ("x%virtual.example@hack.example", .local, "joe-x@virtual.example"),
            // An empty value stops the search.
            ("x@except.wild.example", .remote, "x@except.wild.example"),
            ("no@virtual.example", .remote, "no@virtual.example"),
            ("x@elsewhere.example", .remote, "x@elsewhere.example"),
        ] as [(String, Channel, String)])
    func recipientsGoTo(_ recipient: String, _ channel: Channel, _ result: String) throws {
        let outcome = try #require(rewriting.channel(of: try address(recipient)))
        #expect(outcome.channel == channel)
        #expect(outcome.recipient.description == result)
    }

    @Test func theEmptyKeyCatchesWhatIsLeft() throws {
        let all = AddressRewriting(
            envNoAtHost: [], locals: [bytes("local.example")], virtualDomains: [[]: bytes("all"), bytes(".example"): bytes("e")])
        #expect(all.channel(of: try address("x@far.test"))?.recipient.description == "all-x@far.test")
        #expect(all.channel(of: try address("x@far.example"))?.recipient.description == "e-x@far.example")
        #expect(all.unprepended(try address("all-x@far.test")).description == "x@far.test")
    }

    /// spec-qmail §8.3: keys of single addresses are not looked at.
    @Test(arguments: [
        ("joe-any@virtual.example", "any@virtual.example"), ("fred-fred@virtual.example", "fred-fred@virtual.example"),
        ("jo-any@virtual.example", "jo-any@virtual.example"), ("w-x@a.wild.example", "x@a.wild.example"),
        ("x@except.wild.example", "x@except.wild.example"), ("plain@local.example", "plain@local.example"), ("joe-x", "joe-x"),
    ])
    func bouncesShowRecipientsWithoutPrepend(_ recipient: String, _ shown: String) throws {
        #expect(rewriting.unprepended(try address(recipient)).description == shown)
    }

    /// A prepend, the default host, both behind a percent sign that costs a host.
    @Test(arguments: [("@virtual.example", 4), ("", 16), ("%virtual.example%hack2.example@hack.example", -23)])
    func anAddressThatGrowsTooLongGoesNowhere(_ end: String, _ growth: Int) throws {
        let room = Address.maxBytes - end.utf8.count
        let outcome = rewriting.channel(of: try address(String(repeating: "x", count: room - max(0, growth)) + end))
        #expect(outcome?.recipient.bytes.count == Address.maxBytes + min(0, growth))
        guard growth > 0 else { return }
        #expect(rewriting.channel(of: try address(String(repeating: "x", count: room - growth + 1) + end)) == nil)
    }

    @Test func theNumberOfDomainsDoesNotMatter() throws {
        let many = (0..<100_000).map { bytes("d\($0).example") }
        let rewriting = AddressRewriting(
            envNoAtHost: [], locals: many, virtualDomains: Dictionary(uniqueKeysWithValues: many.map { ([0x2E] + $0, bytes("v")) }))
        for number in stride(from: 0, to: 100_000, by: 10) {
            #expect(rewriting.channel(of: try address("a@d\(number).example"))?.channel == .local)
            #expect(rewriting.channel(of: try address("a@x.d\(number).example"))?.recipient.bytes.first == 0x76)
        }
    }
}

/// spec-qmail §5.1, §5.2.
@Suite struct AddressRewritingLoadingTests {
    let home = TemporaryFolder()
    var control: ControlDirectory { ControlDirectory(home.path) }

    func channel(_ recipient: String) throws -> (channel: Channel, recipient: Address) {
        let routed = try #require(try AddressRewriting(control).channel(of: try address(recipient)))
        return (routed.channel, routed.recipient)
    }

    @Test func meIsTheDefaultOfBothNames() throws {
        home.write("me", "Mail.Example \n")
        #expect(try channel("x").recipient.description == "x@Mail.Example")
        #expect(try channel("x").channel == .local)
    }

    @Test func ownFilesWin() throws {
        home.write("me", "mail.example\n")
        home.write("locals", "# names\nother.example\n\n")
        home.write("envnoathost", "env.example\n")
        home.write("virtualdomains", "v.example:one\nnothing\nV.example:two\n")
        #expect(try channel("x@mail.example").channel == .remote)
        #expect(try channel("x@OTHER.example").channel == .local)
        #expect(try channel("x").recipient.description == "x@env.example")
        #expect(try channel("x@v.example").recipient.description == "two-x@v.example")
    }

    @Test func anEmptyLocalsIsNotTheDefault() throws {
        home.write("me", "mail.example\n")
        home.write("locals", "")
        #expect(try channel("x@mail.example").channel == .remote)
    }

    @Test(arguments: [
        ("", "me", "is missing; write the name of this host into it"),
        ("locals", "locals", "holds a carriage return; lines end with LF only"),
        ("virtualdomains", "virtualdomains", "holds a carriage return; lines end with LF only"),
    ])
    func complaintsNameFileAndLine(_ bad: String, _ file: String, _ problem: String) {
        if !bad.isEmpty {
            home.write("me", "mail.example\n")
            home.write(bad, "a:b\n\nc:d\r\n")
        }
        let error = #expect(throws: ControlFileError.self) { try AddressRewriting(control) }
        #expect(error?.file == "\(home.path)/\(file)")
        #expect(error?.line == (bad.isEmpty ? 0 : 3))
        #expect(error?.problem == problem)
    }

    @Test func anEndlessPrependIsAMistake() {
        home.write("me", "mail.example\n")
        home.write("virtualdomains", "a:" + String(repeating: "x", count: 257) + "\n")
        #expect(throws: ControlFileError.self) { try AddressRewriting(control) }
    }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func address(_ text: String) throws -> Address { try #require(Address(Array(text.utf8))) }
