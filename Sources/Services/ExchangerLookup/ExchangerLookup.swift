private import Addresses
private import Bytes
package import ControlFiles
package import Frames
private import Posix
package import RemoteDelivery
private import Resolver

/// Finds where mail for one host goes, by route or DNS, and comes back when it is known: for a command, which has no role dns to ask and nothing else
/// to do.
package final class ExchangerLookup {
    /// Seconds for the whole (hardening.md "DNS").
    private static let maxSeconds = 30.0

    private let loop: EventLoop
    private let resolver: Resolver
    private var machine: ExchangerSearch
    private var end: ExchangerSearch.Step?

    private init(_ machine: ExchangerSearch, _ control: ControlDirectory) throws {
        self.machine = machine
        loop = try EventLoop()
        resolver = try Resolver(control, on: loop)
    }

    package enum Result {
        case found(ConnectionPlan)
        /// What a delivery would end with.
        case ended(DeliveryReport)
    }

    package static func plan(for host: [UInt8], _ route: SMTPRoutes.Route, _ settings: RemoteSettings, _ control: ControlDirectory) -> Result {
        guard let own = try? interfaceAddresses() else { return .ended(DeliveryTexts.outOfResources) }
        let policy = AddressPolicy(own: Set(own.compactMap { IPAddress($0) } + settings.moreOwnAddresses))
        var machine = ExchangerSearch(host: host[...], route: route, policy: policy)
        var step = machine.start()
        if case .ask(let questions) = step {
            // An address needs no resolver, and no time for its start.
            do {
                step = try ExchangerLookup(machine, control).run(questions)
            } catch {
                return .ended(error is ControlFileError ? DeliveryTexts.noControls : DeliveryTexts.outOfResources)
            }
        }
        switch step {
        case .found(let candidates): return .found(ConnectionPlan(route.relay, candidates))
        case .ended(let report): return .ended(report)
        case .ask: return .ended(DeliveryTexts.noHostFoundNow)
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
