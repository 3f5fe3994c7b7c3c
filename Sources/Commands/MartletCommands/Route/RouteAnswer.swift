internal import Accounts
internal import Addresses
private import ControlFiles
private import ExchangerLookup
internal import Frames
private import Injection
private import Posix
internal import RemoteDelivery
internal import Routing

/// Where mail to one address goes: the decisions that queue, route and remote would make one after the other.
struct RouteAnswer {
    enum Way {
        case local(LocalUserDirectory.Finding, DotQmailSearch)
        /// A domain with accounts of our own.
        case account(AccountDirectory.Finding)
        /// Empty local parts: qmail-lspawn throws such mail away.
        case discarded
        /// Behind the key of `smtproutes` that decided, if one did.
        case remote(key: [UInt8]?, ConnectionPlan, resting: Set<IPAddress>)
        case program([UInt8])
        /// What a delivery would report.
        case ended(DeliveryReport)
    }

    let asked: Address
    let recipient: Address
    let channel: Channel
    let rule: AddressRewriting.Rule
    let way: Way

    init(_ asked: Address) throws(Complaint) {
        let control = ControlDirectory()
        let rewriting = try complaining { try AddressRewriting(control) }
        self.asked = asked
        rule = rewriting.rule(for: asked)
        guard let routed = rewriting.channel(of: asked) else {
            (channel, recipient, way) = (.local, asked, .ended(DeliveryReport(.failed, AddressRewriting.tooLongText)))
            return
        }
        (channel, recipient, _) = routed
        switch channel {
        case .local where rule == .accounts: way = try Self.accountWay(recipient)
        case .local: way = Self.localWay(recipient)
        case .remote: way = try Self.remoteWay(recipient, control)
        }
    }

    var goesNowhere: Bool {
        switch way {
        case .ended, .account(.nobody): true
        case .local(let finding, let file): finding.verdict == .nonexistent || file == .none && !finding.user.dash.isEmpty
        case .account, .discarded, .remote, .program: false
        }
    }

    private static func localWay(_ recipient: Address) -> Way {
        guard !recipient.localPart.isEmpty else { return .discarded }
        do throws(LookupTrouble) {
            let finding = try LocalUserDirectory(accounts(ofHome: QmailHome.find())).find(recipient.localPart)
            let user = finding.user
            return .local(finding, DotQmailSearch(home: Array(user.home), dash: user.dash, ext: user.ext))
        } catch {
            return .ended(error.report)
        }
    }

    private static func accountWay(_ recipient: Address) throws(Complaint) -> Way {
        do throws(AccountDirectory.Failure) {
            return .account(try AccountDirectory.open()?.find(recipient.localPart, at: recipient.domain ?? []) ?? .nobody)
        } catch {
            throw Complaint("\(AccountDirectory.path): \(error.text)")
        }
    }

    private static func remoteWay(_ recipient: Address, _ control: ControlDirectory) throws(Complaint) -> Way {
        let settings = try complaining { try RemoteSettings(control) }
        if let program = settings.program { return .program(program) }
        let host = Array(recipient.domain ?? [])
        let entry = settings.routes.entry(for: host[...])
        switch ExchangerLookup.plan(for: host, entry?.route ?? .exchangers, settings, control) {
        case .ended(let report): return .ended(report)
        case .found(let plan):
            let table = TimeoutFile().table
            let resting = plan.attempts.map(\.address).filter { table.skips($0, now: unixTime(), jitter: 0) }
            return .remote(key: entry?.key, plan, resting: Set(resting))
        }
    }
}

/// A control file that cannot be read, or holds what it must not.
private func complaining<Value>(_ load: () throws -> Value) throws(Complaint) -> Value {
    do { return try load() } catch { throw Complaint("\(error)") }
}

extension ConnectionPlan {
    /// As they would be tried; among equals, whose order is decided by chance, as DNS gave them.
    var inOrder: [Attempt] {
        attempts.enumerated()
            .sorted { a, b in
                (a.element.preference, a.element.address.isV6 ? 1 : 0, a.offset) < (b.element.preference, b.element.address.isV6 ? 1 : 0, b.offset)
            }
            .map(\.element)
    }
}
