internal import Glibc

/// One process that the supervisor keeps running.
final class Charge {
    let plan: RolePlan
    let worker: Int
    let launch: Launch
    private(set) var pid: Int32?
    private var startedAt: UInt64 = 0
    private var backOff = BackOff()
    private var starts = 0

    /// A role that ends with exit code 1 so soon after its first start cannot run as it is configured: it said why, and starting it again would not help.
    static let trialSeconds = 5.0

    init(_ plan: RolePlan, worker: Int, _ launch: Launch) {
        self.plan = plan
        self.worker = worker
        self.launch = launch
    }

    var name: String { worker == 0 ? plan.name : "\(plan.name) \(worker)" }

    func started(_ pid: Int32, now: UInt64) {
        self.pid = pid
        startedAt = now
        starts += 1
    }

    enum Verdict {
        case restart(afterSeconds: Double)
        case misconfigured
    }

    func ended(_ status: ExitStatus, now: UInt64) -> Verdict {
        let life = pid == nil ? 0 : Double(now &- startedAt) / 1e9
        pid = nil
        if starts == 1, status == .exited(1), life < Self.trialSeconds { return .misconfigured }
        return .restart(afterSeconds: backOff.ended(afterLife: life))
    }
}

/// How a process ended, from `waitpid`.
enum ExitStatus: Equatable, CustomStringConvertible {
    case exited(Int32)
    case killed(signal: Int32)

    init(_ status: Int32) { self = status & 0x7F == 0 ? .exited(status >> 8 & 0xFF) : .killed(signal: status & 0x7F) }

    var description: String {
        switch self {
        case .exited(let code): "exited \(code)"
        case .killed(let signal): "was killed by signal \(signal)"
        }
    }
}
