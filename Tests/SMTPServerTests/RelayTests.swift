import Addresses
import Bytes
import Reception
import Routing
import SMTPServer
import Testing

/// hardening.md "RELAY": forms of recipients by which servers were talked into relaying, against rcpthosts, the percent hack and RELAYCLIENT. What
/// smtpd takes is then routed as the queue does it.
@Suite struct RelayTests {
    enum Fate: String {
        /// No path of RFC 5321.
        case syntax
        /// rcpthosts.
        case refused
        case local
        /// Out of the house: an open relay, where nobody asked for it.
        case relayed
    }

    /// The path, then its fate: with nothing set, and where that differs with us.example in percenthack.
    static let forms: [(path: String, plain: Fate, hack: Fate)] = [
        ("u@us.example", .local, .local), ("U@US.EXAMPLE", .local, .local), ("u@d.example", .refused, .refused),
        ("postmaster", .local, .local), ("u", .local, .local), ("\"u\"@us.example", .local, .local), ("u\\@d.example@us.example", .local, .local),
        // The percent hack.
        ("u%d.example@us.example", .local, .relayed), ("u%d.example%e.example@us.example", .local, .relayed),
        ("u%us.example%d.example@us.example", .local, .relayed), ("u%d.example%us.example@us.example", .local, .relayed),
        ("u%us.example%us.example@us.example", .local, .local), ("\"u%d.example\"@us.example", .local, .relayed),
        ("u%[192.0.2.1]@us.example", .local, .relayed), ("u%d.example", .local, .relayed), ("u%d.example@[127.0.0.1]", .local, .relayed),
        ("u%@us.example", .local, .relayed), ("%d.example@us.example", .local, .relayed), ("u%us.example@d.example", .refused, .refused),
        ("u@d.example%us.example", .refused, .refused), ("u@us.example%d.example", .refused, .refused),
        // UUCP paths, and other separators of old.
        ("d.example!u@us.example", .local, .local), ("d.example!u", .local, .local), ("us.example!u@d.example", .refused, .refused),
        ("d.example!us.example!u@us.example", .local, .local), ("d.example::u@us.example", .local, .local),
        ("u+d.example@us.example", .local, .local),
        ("u=d.example@us.example", .local, .local), ("u-d.example@us.example", .local, .local), ("u|d.example@us.example", .local, .local),
        // Source routes are dropped.
        ("@us.example:u@d.example", .refused, .refused), ("@us.example,@x.example:u@d.example", .refused, .refused),
        ("@d.example:u@us.example", .local, .local), ("@d.example:u%e.example@us.example", .local, .relayed), ("@d.example", .syntax, .syntax),
        ("@us.example", .syntax, .syntax),
        // More than one @; the last counts everywhere.
        ("u@d.example@us.example", .local, .local), ("\"u@d.example\"@us.example", .local, .local), ("u@us.example@d.example", .refused, .refused),
        ("u@us.example,v@d.example", .refused, .refused), ("u@d.example,v@us.example", .local, .local), ("u;v@d.example", .refused, .refused),
        ("\"\"@us.example", .local, .local), ("\"\"@d.example", .refused, .refused), ("\"u@us.example\"@d.example", .refused, .refused),
        // Domains that look like ours.
        ("u@us.example.", .refused, .refused), ("u@.us.example", .refused, .refused), ("u@us.example.d.example", .refused, .refused),
        ("u@d.us.example", .refused, .refused), ("u@xus.example", .refused, .refused), ("u@us.example:25", .refused, .refused),
        ("u@us.example/d.example", .refused, .refused), ("u@us.example#d.example", .refused, .refused),
        ("u@us.example d.example", .refused, .refused),
        ("u@us.example\\d.example", .refused, .refused), ("u@\"us.example\"", .local, .local), ("u@us.example\"", .syntax, .syntax),
        ("u@", .syntax, .syntax),
        // Addresses.
        ("u@[127.0.0.1]", .local, .local), ("u@[192.0.2.1]", .refused, .refused), ("u@127.0.0.1", .refused, .refused),
        ("u@2130706433", .refused, .refused),
        ("u@[us.example]", .refused, .refused), ("u@[127.0.0.1]@d.example", .refused, .refused), ("u@[IPv6:::1]", .refused, .refused),
        ("u@localhost", .refused, .refused),
        // What breaks the line.
        ("<u@us.example>", .syntax, .syntax), ("u@us.example>,<v@d.example", .syntax, .syntax), ("u@d.example\u{9}@us.example", .syntax, .syntax),
        ("u@d.example\u{0}@us.example", .syntax, .syntax), ("", .syntax, .syntax),
    ]

    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private static let policy = Policy(
        greeting: bytes("us.example"), localIPHost: bytes("us.example"), ownAddresses: Set([IPAddress([127, 0, 0, 1])].compactMap { $0 }),
        rcpthosts: Rcpthosts([bytes("us.example")]))

    private func fate(_ path: String, _ profile: Profile, percentHack: [String] = [], relay: [UInt8]? = nil) -> Fate {
        let dialog = Dialog(profile, policy: Self.policy, client: Client(relay: relay))
        dialog.say("EHLO c\r\nMAIL FROM:<s@d.example>\r\n")
        _ = dialog.replies()
        dialog.say("RCPT TO:<\(path)>\r\n")
        switch dialog.codes.last {
        case 250: break
        case 553: return .refused
        default: return .syntax
        }
        dialog.say("DATA\r\n.\r\n")
        let routing = AddressRewriting(
            envNoAtHost: Self.bytes("us.example"), percentHack: percentHack.map(Self.bytes), locals: [Self.bytes("us.example")])
        let recipients = dialog.messages.first?.envelope.recipients ?? []
        return recipients.allSatisfy { routing.channel(of: $0)?.channel == .local } ? .local : .relayed
    }

    @Test(arguments: forms) func nothingIsRelayedThatNobodyAskedFor(_ form: (path: String, plain: Fate, hack: Fate)) {
        #expect(fate(form.path, .modern) == form.plain)
        #expect(fate(form.path, .modern, percentHack: ["us.example"]) == form.hack)
    }

    /// qmail-smtpd takes what is no path for some address, but never for one of another house.
    @Test(arguments: forms) func norByTheClassicProfile(_ form: (path: String, plain: Fate, hack: Fate)) {
        #expect(fate(form.path, .classic) != .relayed)
        if form.plain != .syntax { #expect(fate(form.path, .classic) == form.plain) }
        if form.hack != .syntax { #expect(fate(form.path, .classic, percentHack: ["us.example"]) == form.hack) }
    }

    @Test(arguments: forms) func everyPathIsTakenFromARelayClient(_ form: (path: String, plain: Fate, hack: Fate)) {
        let fate = fate(form.path, .modern, relay: [])
        #expect(fate == (form.plain == .refused ? .relayed : form.plain))
        // RELAYCLIENT=@gateway sends all of it one way.
        if form.plain != .syntax { #expect(self.fate(form.path, .modern, relay: Self.bytes("@gateway.example")) == .relayed) }
    }

    @Test func thereAreSixtyForms() { #expect(Set(Self.forms.map(\.path)).count >= 60) }
}
