private import Glibc
internal import Posix

/// All processes of one home: starts them, starts again what ends, passes signals on, and ends them in order.
///
/// One thread, one loop; the only process that is root for long besides lspawn, and it reads nothing from the network.
final class Household {
    private let loop: EventLoop
    private let charges: [Charge]
    private var stopping: StopStage?
    private var exitCode: Int32 = 0

    init(_ charges: [Charge]) throws(SystemError) {
        self.charges = charges
        loop = try EventLoop()
        try loop.onSignals([SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGCHLD]) { [weak self] in self?.received($0) }
    }

    /// Starts everything, or nothing.
    func start() throws(StartFailure) {
        for charge in charges {
            do throws(SystemError) {
                try start(charge)
            } catch {
                stop()
                loop.run()
                throw StartFailure(cannotStart: charge, error)
            }
        }
    }

    /// Until the orderly stop is over.
    /// - Returns: martletd's exit code.
    func run() -> Int32 {
        loop.run()
        return exitCode
    }

    private func start(_ charge: Charge) throws(SystemError) {
        let pid = try charge.launch.start()
        charge.started(pid, now: monotonicNanoseconds())
        log("martletd: started \(charge.name) pid \(pid)")
    }

    private func received(_ signal: Int32) {
        switch signal {
        case SIGCHLD: reap()
        case SIGHUP:
            log("martletd: got HUP: control files are read again")
            pass(SIGHUP) { _ in true }
        case SIGALRM: pass(SIGALRM) { $0.plan.name == "queue" }
        default: stop()
        }
    }

    private func pass(_ signal: Int32, to isMeant: (Charge) -> Bool) {
        for charge in charges where isMeant(charge) {
            if let pid = charge.pid { kill(pid, signal) }
        }
    }

    private func reap() {
        var status: Int32 = 0
        while true {
            let pid = waitpid(-1, &status, WNOHANG)
            guard pid > 0 else { break }
            if let charge = charges.first(where: { $0.pid == pid }) { ended(charge, pid, ExitStatus(status)) }
        }
        if let stopping { advance(from: stopping) }
    }

    private func ended(_ charge: Charge, _ pid: Int32, _ status: ExitStatus) {
        let verdict = charge.ended(status, now: monotonicNanoseconds())
        guard stopping == nil else {
            if status != .exited(0) { log("martletd: \(charge.name) pid \(pid) \(status)") }
            return
        }
        switch verdict {
        case .misconfigured:
            log("martletd: \(charge.name) cannot run as it is configured: mend what its line above says, then start martletd again")
            exitCode = 1
            stop()
        case .restart(let seconds):
            log("martletd: \(charge.name) pid \(pid) \(status); starting it again in \(Int(seconds)) s")
            restart(charge, afterSeconds: seconds)
        }
    }

    private func restart(_ charge: Charge, afterSeconds seconds: Double) {
        loop.after(seconds: seconds) { [weak self] in
            guard let self, stopping == nil else { return }
            do throws(SystemError) {
                try start(charge)
            } catch {
                log("martletd: cannot start \(charge.name): \(error)")
                if case .restart(let next) = charge.ended(.exited(111), now: monotonicNanoseconds()) { restart(charge, afterSeconds: next) }
            }
        }
    }

    private func stop() {
        guard stopping == nil else { return }
        log("martletd: stopping")
        begin(.intake)
    }

    private func begin(_ stage: StopStage) {
        stopping = stage
        pass(SIGTERM) { $0.plan.stopsIn == stage }
        loop.after(seconds: stage.limitSeconds) { [weak self] in
            guard let self, stopping == stage else { return }
            for charge in charges where charge.plan.stopsIn == stage && charge.pid != nil {
                log("martletd: \(charge.name) did not stop in \(Int(stage.limitSeconds)) s: killing it")
            }
            pass(SIGKILL) { $0.plan.stopsIn == stage }
        }
        advance(from: stage)
    }

    /// To the next stage when all of this one have ended.
    private func advance(from stage: StopStage) {
        guard !charges.contains(where: { $0.plan.stopsIn == stage && $0.pid != nil }) else { return }
        if let next = StopStage(rawValue: stage.rawValue + 1) { return begin(next) }
        log("martletd: stopped")
        loop.stop()
    }
}

extension StartFailure {
    fileprivate init(cannotStart charge: Charge, _ error: SystemError) {
        let mend =
            switch error.errno {
            case EACCES: "its account must be able to reach that file: let others enter every directory above it, or `make install`"
            case ENOENT: "build it first: make"
            case EPERM: "starting martletd needs the rights to change users and limits"
            default: "see that reason"
            }
        self.init("cannot start \(charge.name): \(error)", mend: mend)
    }
}
