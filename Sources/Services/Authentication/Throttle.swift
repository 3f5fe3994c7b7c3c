private import Bytes

/// Who may still try to log in. Failures are counted by address, by network, by account, and as accounts that failed from one network (password spray: one
/// guess at each of many). What fails too often is answered later and later, then refused for a time that doubles.
///
/// A pure machine: seconds that only grow are an input. Its memory is bounded: beyond ``maxEntries`` of a kind the older half is forgotten.
///
/// An account that has logged in from a network is counted with that network alone: nobody locks a person out by failing elsewhere in that name, and one
/// forgetful client does not lock out its whole office.
package struct Throttle {
    package enum Subject: Hashable, Sendable {
        /// 4 bytes, or the first 8 of 16: one customer holds a /64.
        case address([UInt8])
        /// The first 3 of 4 bytes, or the first 6 of 16.
        case network([UInt8])
        case account([UInt8])
        /// An account and a network from which it has logged in.
        case familiar(account: [UInt8], network: [UInt8])
    }

    package enum Admission: Equatable, Sendable {
        case admitted
        /// So many are being looked at already: try again.
        case busy
        case refused
    }

    /// One line of ``list()``.
    package struct Listed: Equatable, Sendable {
        package var subject: Subject
        package var failures: UInt32
        /// Seconds; 0 when nothing is refused, nil until it is released.
        package var refusedFor: UInt64?

        package init(subject: Subject, failures: UInt32, refusedFor: UInt64?) {
            self.subject = subject
            self.failures = failures
            self.refusedFor = refusedFor
        }
    }

    /// Failures after which a subject is refused. They are forgotten one by one, each after ``forgetSeconds``.
    package struct Limits: Sendable {
        package var address: UInt32 = 10
        package var network: UInt32 = 50
        package var account: UInt32 = 20
        package var familiar: UInt32 = 10
        /// Accounts that failed from one network.
        package var spray = 12
        package var pendingPerAddress = 32
        /// A quarter of what may wait for its hash: a network of addresses keeps nobody else out.
        package var pendingPerNetwork = 64
        package var forgetSeconds: UInt64 = 120
        /// The first refusal's time; each further one of the subject doubles it.
        package var refusalSeconds: UInt64 = 60
        package var maxRefusalSeconds: UInt64 = 14_400

        package init() {}
    }

    package static let maxEntries = 65_536

    private let limits: Limits
    private var addresses = Table()
    private var networks = Table()
    private var accounts = Table()
    private var familiars = Table()

    package init(_ limits: Limits = Limits()) { self.limits = limits }

    // MARK: - Events

    /// A client wants to prove that it is `account`. Say ``ended(_:from:succeeded:now:)`` once for each that is admitted.
    package mutating func begun(_ account: [UInt8], from address: ArraySlice<UInt8>, now: UInt64) -> Admission {
        for key in keys(account, address) where table(key).isRefused(key, now) { return .refused }
        guard let own = Subject(address: address), let network = Subject(networkOf: address) else { return .admitted }
        guard addresses.start(own, limits.pendingPerAddress, now) else { return .busy }
        guard networks.start(network, limits.pendingPerNetwork, now) else {
            addresses.finish(own)
            return .busy
        }
        return .admitted
    }

    /// - Returns: seconds after which the client is to hear of it.
    package mutating func ended(_ account: [UInt8], from address: ArraySlice<UInt8>, succeeded: Bool, now: UInt64) -> UInt64 {
        abandoned(from: address)
        if succeeded {
            if let network = Subject(networkOf: address)?.bytes { familiars.touch(.familiar(account: account, network: network), now) }
            return 0
        }
        var worst: UInt32 = 0
        for key in keys(account, address) {
            let limit = limit(of: key)
            let failures = update(key) { [limits] in $0.fail(key, sprayed: account, limit, limits, now) }
            // An account is guessed at from many sides: who waits is who guesses.
            if case .network = key { continue }
            worst = max(worst, failures)
        }
        return worst < 3 ? 1 : min(UInt64(1) << UInt64(min(worst - 2, 4)), 10)
    }

    /// The client is gone before anything was proved.
    package mutating func abandoned(from address: ArraySlice<UInt8>) {
        if let own = Subject(address: address) { addresses.finish(own) }
        if let network = Subject(networkOf: address) { networks.finish(network) }
    }

    // MARK: - The administrator

    /// - Parameter seconds: nil until it is released.
    package mutating func ban(_ subject: Subject, for seconds: UInt64?, now: UInt64) {
        update(subject) { $0.refuse(subject, until: seconds.map { now &+ $0 } ?? .max, now) }
    }

    /// - Returns: false when nothing was known of it. With an account its familiar networks are released too.
    package mutating func release(_ subject: Subject) -> Bool {
        var isKnown = update(subject) { $0.forget(subject) }
        if case .account(let name) = subject { isKnown = familiars.forgetFailures(of: name) || isKnown }
        return isKnown
    }

    /// Those that are refused, then those that have failures.
    package func list(now: UInt64) -> [Listed] {
        [addresses, networks, accounts, familiars].flatMap { $0.list(now, limits) }.sorted {
            ($0.refusedFor ?? .max, $0.failures) > ($1.refusedFor ?? .max, $1.failures)
        }
    }

    // MARK: - Tables

    /// What a try counts for.
    private func keys(_ account: [UInt8], _ address: ArraySlice<UInt8>) -> [Subject] {
        guard let network = Subject(networkOf: address), let own = Subject(address: address) else { return [.account(account)] }
        let familiar = Subject.familiar(account: account, network: network.bytes)
        // Who is banned by hand is out, whatever is familiar.
        let isBanned = addresses.isBanned(own) || networks.isBanned(network) || accounts.isBanned(.account(account))
        if familiars.contains(familiar), !isBanned { return [familiar] }
        return [own, network, .account(account)]
    }

    private func table(_ subject: Subject) -> Table {
        switch subject {
        case .address: addresses
        case .network: networks
        case .account: accounts
        case .familiar: familiars
        }
    }

    @discardableResult
    private mutating func update<Result>(_ subject: Subject, _ body: (inout Table) -> Result) -> Result {
        switch subject {
        case .address: body(&addresses)
        case .network: body(&networks)
        case .account: body(&accounts)
        case .familiar: body(&familiars)
        }
    }

    private func limit(of subject: Subject) -> UInt32 {
        switch subject {
        case .address: limits.address
        case .network: limits.network
        case .account: limits.account
        case .familiar: limits.familiar
        }
    }
}

extension Throttle.Subject {
    /// Nil for a UNIX socket: those who come there are counted by account only.
    package init?(address: ArraySlice<UInt8>) {
        switch address.count {
        case 4: self = .address(Array(address))
        case 16: self = .address(Array(address.prefix(8)))
        default: return nil
        }
    }

    package init?(networkOf address: ArraySlice<UInt8>) {
        switch address.count {
        case 4: self = .network(Array(address.prefix(3)))
        case 16: self = .network(Array(address.prefix(6)))
        default: return nil
        }
    }

    fileprivate var bytes: [UInt8] {
        switch self {
        case .address(let bytes), .network(let bytes), .account(let bytes), .familiar(let bytes, _): bytes
        }
    }
}

/// The failures of one kind of subject.
private struct Table {
    private struct Entry {
        var failures: UInt32 = 0
        /// When the failures were last counted down.
        var counted: UInt64
        var touched: UInt64
        var refusedUntil: UInt64 = 0
        var refusals: UInt32 = 0
        var pending = 0
        /// Accounts that failed from here, as hashes; for networks.
        var sprayed: Set<Int> = []

        mutating func countDown(_ now: UInt64, _ forgetSeconds: UInt64) {
            let forgotten = (now &- min(counted, now)) / max(forgetSeconds, 1)
            guard forgotten > 0 else { return }
            counted = counted &+ forgotten &* forgetSeconds
            failures -= UInt32(clamping: min(UInt64(failures), forgotten))
            if failures == 0 { (sprayed, refusals) = ([], refusedUntil <= now ? 0 : refusals) }
        }
    }

    private var entries: [Throttle.Subject: Entry] = [:]

    func contains(_ key: Throttle.Subject) -> Bool { entries[key] != nil }
    func isRefused(_ key: Throttle.Subject, _ now: UInt64) -> Bool { (entries[key]?.refusedUntil ?? 0) > now }
    func isBanned(_ key: Throttle.Subject) -> Bool { entries[key]?.refusedUntil == .max }

    mutating func touch(_ key: Throttle.Subject, _ now: UInt64) { entry(key, now) { $0.touched = now } }

    mutating func start(_ key: Throttle.Subject, _ limit: Int, _ now: UInt64) -> Bool {
        entry(key, now) {
            guard $0.pending < limit else { return false }
            $0.pending += 1
            return true
        }
    }

    mutating func finish(_ key: Throttle.Subject) {
        guard var found = entries[key] else { return }
        found.pending = max(0, found.pending - 1)
        let isIdle = found.pending == 0 && found.failures == 0 && found.refusals == 0 && found.refusedUntil == 0
        entries[key] = isIdle ? nil : found
    }

    /// - Returns: how many there are now.
    mutating func fail(_ key: Throttle.Subject, sprayed account: [UInt8], _ limit: UInt32, _ limits: Throttle.Limits, _ now: UInt64) -> UInt32 {
        entry(key, now) {
            $0.countDown(now, limits.forgetSeconds)
            if $0.failures == 0 { $0.counted = now }
            ($0.failures, $0.touched) = ($0.failures &+ 1, now)
            if case .network = key, $0.sprayed.count < limits.spray { $0.sprayed.insert(account.hashValue) }
            if $0.failures >= limit || $0.sprayed.count >= limits.spray, $0.refusedUntil <= now {
                let seconds = min(limits.refusalSeconds << UInt64(min($0.refusals, 20)), limits.maxRefusalSeconds)
                ($0.refusedUntil, $0.refusals) = (now &+ seconds, $0.refusals &+ 1)
            }
            return $0.failures
        }
    }

    mutating func refuse(_ key: Throttle.Subject, until end: UInt64, _ now: UInt64) { entry(key, now) { $0.refusedUntil = end } }

    mutating func forget(_ key: Throttle.Subject) -> Bool { entries.removeValue(forKey: key) != nil }

    mutating func forgetFailures(of account: [UInt8]) -> Bool {
        let keys = entries.keys.filter { if case .familiar(account, _) = $0 { true } else { false } }
        for key in keys { entries[key] = Entry(counted: 0, touched: entries[key]?.touched ?? 0) }
        return !keys.isEmpty
    }

    func list(_ now: UInt64, _ limits: Throttle.Limits) -> [Throttle.Listed] {
        entries.compactMap { key, entry in
            var entry = entry
            entry.countDown(now, limits.forgetSeconds)
            guard entry.failures > 0 || entry.refusedUntil > now else { return nil }
            let refusedFor = entry.refusedUntil == .max ? nil : entry.refusedUntil > now ? entry.refusedUntil - now : 0
            return Throttle.Listed(subject: key, failures: entry.failures, refusedFor: refusedFor)
        }
    }

    private mutating func entry<Result>(_ key: Throttle.Subject, _ now: UInt64, _ body: (inout Entry) -> Result) -> Result {
        if entries[key] == nil, entries.count >= Throttle.maxEntries { forgetOlderHalf() }
        return body(&entries[key, default: Entry(counted: now, touched: now)])
    }

    /// Half at once, so that each new entry costs little even when all are fresh. What was banned by hand stays, if it is not itself the half.
    private mutating func forgetOlderHalf() {
        let times = entries.values.map(\.touched).sorted()
        let middle = times[times.count / 2]
        var left = entries.count / 2
        entries = entries.filter { _, entry in
            guard entry.touched <= middle, entry.refusedUntil != .max, left > 0 else { return true }
            left -= 1
            return false
        }
        if entries.count >= Throttle.maxEntries { entries.removeAll() }
    }
}
