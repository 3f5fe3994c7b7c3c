internal import Addresses
private import Bytes
internal import Frames
internal import Posix
internal import RemoteDelivery

/// Knows where the mail of a destination goes, and remembers it for a short time, so that a burst of deliveries to one host asks once.
final class HostDirectory {
    enum Answer {
        case found(ConnectionPlan)
        case ended(DeliveryReport)
    }

    /// Seconds. DNS' own times to live are kept in the cache of role dns; this only spares the way there.
    private static let freshFor: UInt64 = 60
    private static let maxEntries = 2000
    /// Seconds for a whole search (hardening.md "DNS").
    private static let searchTime = 30.0

    private final class Search {
        var machine: ExchangerSearch
        var tokens: [UInt32] = []
        var waiting: [(Answer) -> Void] = []
        var deadline: TimerQueue.Token?
        init(_ machine: ExchangerSearch) { self.machine = machine }
    }

    private let loop: EventLoop
    private let names: NameClient
    private let own: OwnAddresses
    private var known: [Destination: (plan: ConnectionPlan, until: UInt64)] = [:]
    private var searches: [Destination: Search] = [:]

    init(on loop: EventLoop, asking names: NameClient) {
        self.loop = loop
        self.names = names
        own = OwnAddresses()
    }

    /// - Parameter moreOwn: `control/moreipme`.
    func find(_ destination: Destination, moreOwn: [IPAddress], _ completion: @escaping (Answer) -> Void) {
        let now = monotonicNanoseconds() / 1_000_000_000
        if let entry = known[destination], now < entry.until { return completion(.found(entry.plan)) }
        if let search = searches[destination] { return search.waiting.append(completion) }
        let search = Search(machine(for: destination, moreOwn, now))
        search.waiting = [completion]
        searches[destination] = search
        search.deadline = loop.after(seconds: Self.searchTime) { [weak self, weak search] in
            guard let self, let search else { return }
            perform(search.machine.deadlinePassed(), search, destination)
        }
        perform(search.machine.start(), search, destination)
    }

    private func machine(for destination: Destination, _ moreOwn: [IPAddress], _ now: UInt64) -> ExchangerSearch {
        let policy = AddressPolicy(own: own.current(now: now).union(moreOwn))
        switch destination {
        case .domain(let name): return ExchangerSearch(host: name[...], route: .exchangers, policy: policy)
        case .relay(let relay): return ExchangerSearch(host: relay.host[...], route: .relay(relay), policy: policy)
        }
    }

    private func perform(_ step: ExchangerSearch.Step, _ search: Search, _ destination: Destination) {
        switch step {
        case .ask(let questions):
            for question in questions {
                let token = names.ask(question.kind, question.name) { [weak self, weak search] result in
                    guard let self, let search else { return }
                    perform(search.machine.answered(question.id, result), search, destination)
                }
                search.tokens.append(token)
            }
        case .found(let candidates):
            let plan = ConnectionPlan(destination.relay, candidates)
            remember(plan, destination)
            end(search, destination, .found(plan))
        case .ended(let report): end(search, destination, .ended(report))
        }
    }

    private func end(_ search: Search, _ destination: Destination, _ answer: Answer) {
        guard searches[destination] === search else { return }
        searches[destination] = nil
        names.giveUp(search.tokens)
        if let deadline = search.deadline { loop.cancel(deadline) }
        for completion in search.waiting { completion(answer) }
    }

    private func remember(_ plan: ConnectionPlan, _ destination: Destination) {
        let now = monotonicNanoseconds() / 1_000_000_000
        if known.count >= Self.maxEntries { known = known.filter { now < $0.value.until } }
        if known.count >= Self.maxEntries { known.removeAll() }
        known[destination] = (plan, now + Self.freshFor)
    }
}
