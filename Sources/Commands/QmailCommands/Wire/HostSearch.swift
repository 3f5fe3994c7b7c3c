private import Addresses
private import Bytes
private import ControlFiles
private import Frames
private import Posix
internal import RemoteDelivery
private import Resolver

/// Finds where mail for one host goes, by route or DNS, and comes back when it is known.
final class HostSearch {
    /// Seconds for the whole (hardening.md "DNS").
    private static let maxSeconds = 30.0

    private let loop: EventLoop
    private let resolver: Resolver
    private var machine: ExchangerSearch
    private var end: ExchangerSearch.Step?

    private init(_ machine: ExchangerSearch) throws {
        self.machine = machine
        loop = try EventLoop()
        resolver = try Resolver(ControlDirectory(), on: loop)
    }

    static func candidates(for host: [UInt8], _ settings: RemoteSettings) throws(QmailRemote.Ending) -> Candidates {
        guard let own = try? interfaceAddresses() else { throw QmailRemote.Ending(DeliveryTexts.outOfResources) }
        let policy = AddressPolicy(own: Set(own.compactMap { IPAddress($0) } + settings.moreOwnAddresses))
        let route = settings.routes.route(for: host[...])
        var machine = ExchangerSearch(host: host[...], route: route, policy: policy)
        var step = machine.start()
        if case .ask(let questions) = step {
            // An address needs no resolver, and no time for its start.
            step = try begun(machine).run(questions)
        }
        switch step {
        case .found(let candidates): return candidates
        case .ended(let report): throw QmailRemote.Ending(report)
        case .ask: throw QmailRemote.Ending(DeliveryTexts.noHostFoundNow)
        }
    }

    private static func begun(_ machine: ExchangerSearch) throws(QmailRemote.Ending) -> HostSearch {
        do {
            return try HostSearch(machine)
        } catch {
            throw QmailRemote.Ending(error is ControlFileError ? DeliveryTexts.noControls : DeliveryTexts.outOfResources)
        }
    }

    private func run(_ questions: [ExchangerSearch.Question]) -> ExchangerSearch.Step {
        loop.after(seconds: Self.maxSeconds) { [self] in perform(machine.deadlinePassed()) }
        perform(.ask(questions))
        loop.run()
        return end ?? .ended(DeliveryTexts.noHostFoundNow)
    }

    private func perform(_ step: ExchangerSearch.Step) {
        guard end == nil else { return }
        guard case .ask(let questions) = step else {
            end = step
            return loop.stop()
        }
        for question in questions {
            resolver.lookUp(question.kind, question.name[...]) { [self] result in perform(machine.answered(question.id, result)) }
        }
    }
}
