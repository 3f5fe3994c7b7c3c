internal import Addresses
private import Bytes
package import Frames

/// Finds where mail for a host goes (spec-qmail §14.4, with IPv6): answers of DNS in, questions and the result out.
///
/// MX of the host → addresses of each exchanger; without MX the host's own addresses; a route's relay by its addresses only.
///
/// Module `RemoteDelivery` decides where mail goes; it must not know sockets or SMTP. What holds: it does not lead to this host unless a route says
/// so, every search ends, and only a certain "no" of DNS fails: trouble defers.
package struct ExchangerSearch {
    /// hardening.md "DNS".
    package struct Limits: Sendable {
        /// Of the best preference first.
        package var exchangers = 20
        package var addressesPerExchanger = 5
        package init() {}
    }

    package struct Question: Equatable, Sendable {
        /// Given back with the answer.
        package var id: Int
        package var kind: NameLookup.Kind
        package var name: [UInt8]
    }

    package enum Step: Equatable, Sendable {
        /// Also empty, when answers are still due.
        case ask([Question])
        case found(Candidates)
        case ended(DeliveryReport)
    }

    private enum Target {
        /// The question with this id is for the host's MX.
        case exchangers
        /// For the addresses of one exchanger, or of the host itself.
        case addresses(preference: UInt16, exchanger: [UInt8])
    }

    private let host: [UInt8]
    private let route: SMTPRoutes.Route
    private let policy: AddressPolicy
    private let limits: Limits
    private var waiting: [Int: Target] = [:]
    private var lastID = 0
    private var candidates: [Candidates.Candidate] = []
    private var sawTemporaryFailure = false
    /// The host has no MX: that its name leads nowhere is its own failure.
    private var asksHostItself = false

    package init(host: ArraySlice<UInt8>, route: SMTPRoutes.Route, policy: AddressPolicy, limits: Limits = Limits()) {
        self.host = Array(host)
        self.route = route
        self.policy = policy
        self.limits = limits
    }

    /// The host whose addresses are looked for: named in texts.
    private var name: [UInt8] {
        if case .relay(let relay) = route { relay.host } else { host }
    }

    package mutating func start() -> Step {
        guard !name.isEmpty else { return .ended(DeliveryTexts.noHost(named: [])) }
        if let address = IPLiteral.parse(name[...]) {
            add([address], preference: 0, exchanger: [])
            return conclude()
        }
        if case .relay = route { return askHostItself() }
        return .ask([question(.exchangers, name, .exchangers)])
    }

    package mutating func answered(_ id: Int, _ result: NameLookup.Result) -> Step {
        switch waiting.removeValue(forKey: id) {
        case nil: return .ask([])
        case .exchangers: return answeredExchangers(result)
        case .addresses(let preference, let exchanger): return answeredAddresses(result, preference, exchanger)
        }
    }

    /// What is not answered by now counts as a temporary failure.
    package mutating func deadlinePassed() -> Step {
        sawTemporaryFailure = true
        waiting = [:]
        return conclude()
    }

    private mutating func question(_ kind: NameLookup.Kind, _ name: [UInt8], _ target: Target) -> Question {
        lastID += 1
        waiting[lastID] = target
        // `example.org.` is no domain of RFC 5321, but people write it and qmail's resolver took it.
        let plain = name.last == ASCII.dot ? name.dropLast() : name
        // What has no A-labels is asked for as it is: the resolver knows no such name.
        return Question(id: lastID, kind: kind, name: domainInALabels(plain) ?? plain)
    }

    private mutating func askHostItself() -> Step {
        asksHostItself = true
        return .ask([question(.addresses, name, .addresses(preference: 0, exchanger: name))])
    }

    private mutating func answeredExchangers(_ result: NameLookup.Result) -> Step {
        switch result {
        case .temporaryFailure: return .ended(DeliveryTexts.noHostFoundNow)
        case .noSuchName, .noData, .addresses, .texts: return askHostItself()
        case .exchangers(let exchangers): return askForAddresses(of: exchangers)
        }
    }

    private mutating func askForAddresses(of exchangers: [NameLookup.Exchanger]) -> Step {
        // RFC 7505 §3: beside others a null MX means nothing.
        let named = exchangers.filter { !$0.name.isEmpty }
        guard !named.isEmpty else { return .ended(exchangers.isEmpty ? DeliveryTexts.noExchanger : DeliveryTexts.nullExchanger) }
        var questions: [Question] = []
        for exchanger in named.sorted(by: { $0.preference < $1.preference }).prefix(limits.exchangers) {
            if let address = IPLiteral.parse(exchanger.name) {
                add([address], preference: exchanger.preference, exchanger: [])
            } else {
                let name = Array(exchanger.name)
                questions.append(question(.addresses, name, .addresses(preference: exchanger.preference, exchanger: name)))
            }
        }
        return waiting.isEmpty ? conclude() : .ask(questions)
    }

    private mutating func answeredAddresses(_ result: NameLookup.Result, _ preference: UInt16, _ exchanger: [UInt8]) -> Step {
        switch result {
        case .addresses(let addresses): add(addresses, preference: preference, exchanger: exchanger)
        case .temporaryFailure: sawTemporaryFailure = true
        case .noSuchName, .noData, .exchangers, .texts:
            if asksHostItself { return .ended(DeliveryTexts.noHost(named: name[...])) }
        }
        return waiting.isEmpty ? conclude() : .ask([])
    }

    private mutating func add(_ addresses: [IPAddress], preference: UInt16, exchanger: [UInt8]) {
        // Our own address among many must be seen, whatever the order of the answer.
        let ours = addresses.filter { policy.judge($0) == .ourselves }
        let others = addresses.filter { policy.judge($0) != .ourselves }
        candidates += (ours + others).prefix(limits.addressesPerExchanger).map {
            Candidates.Candidate(preference: preference, address: $0, exchanger: exchanger)
        }
    }

    private func conclude() -> Step {
        guard !candidates.isEmpty else { return .ended(sawTemporaryFailure ? DeliveryTexts.noHostFoundNow : DeliveryTexts.noExchanger) }
        if case .relay(let relay) = route { return .found(Candidates(candidates, port: relay.port)) }
        // A host that is an exchanger itself hands mail to better ones only, or it would go round for ever (RFC 5321 §5.1).
        let ourPreference = candidates.filter { policy.judge($0.address) == .ourselves }.map(\.preference).min()
        let better = candidates.filter { candidate in ourPreference.map { candidate.preference < $0 } ?? true }
        // The better ones may only be out of reach for the moment.
        guard !better.isEmpty else { return .ended(sawTemporaryFailure ? DeliveryTexts.noHostFoundNow : DeliveryTexts.bestPreference) }
        let usable = better.filter { policy.judge($0.address) == .usable }
        guard !usable.isEmpty else { return .ended(sawTemporaryFailure ? DeliveryTexts.noHostFoundNow : DeliveryTexts.noExchanger) }
        return .found(Candidates(usable, port: SMTPRoutes.smtpPort))
    }
}
