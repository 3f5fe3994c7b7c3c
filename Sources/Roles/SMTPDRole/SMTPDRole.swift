private import ControlFiles
private import Glibc
private import NIOCore
private import NIOPosix
private import Posix
private import Reception
package import RoleContext

/// Receives mail by SMTP (spec-qmail §13), LMTP, QMTP and QMQP and hands it to the queue. It knows no queue file, no home and no key; its only
/// connections are to clients, `run/inject`, `run/route`, `run/auth` and `run/keys`.
package enum SMTPDRole {
    /// Runs until SIGTERM.
    /// - Returns: the exit code: 0 after an orderly stop, 1 when it cannot start.
    package static func run(_ context: RoleContext) -> Int32 {
        let signals = blockSignals()
        let control = ControlDirectory()
        let configuration: Watched<Configuration>
        do {
            configuration = try Watched(Configuration.files.map(control.file) + [Rcpthosts.accountsFile]) {
                try Configuration(control)
            } complain: { error in
                log("smtpd: warning: \(error); the old value stays")
            }
        } catch {
            log("smtpd: fatal: \(error)")
            return 1
        }
        if !configuration.value.policy.rcpthosts.isThere {
            log("smtpd: warning: \(control.file("rcpthosts")) is missing: mail for every domain in the world is accepted, from everybody")
        }
        return serve(context.doors, configuration, workers: context.workers, signals)
    }

    private static func serve(
        _ doors: [(door: Door, descriptor: Int32)], _ configuration: sending Watched<Configuration>, workers: Int, _ signals: sigset_t
    ) -> Int32 {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let configuration = NIOLoopBoundBox<Watched<Configuration>>.makeBoxSendingValue(configuration, eventLoop: loop)
        let running = NIOLoopBoundBox<Server?>.makeBoxSendingValue(nil, eventLoop: loop)
        do {
            try loop.flatSubmit {
                let server = Server(on: loop, configuration.value, workers: workers)
                running.value = server
                return .andAllSucceed(doors.map { server.listen($0.door, $0.descriptor) }, on: loop)
            }.wait()
        } catch {
            log("smtpd: fatal: cannot listen: \(error)")
            return 1
        }
        waitForEnd(signals)
        try? loop.flatSubmit { running.value?.stop() ?? loop.makeSucceededVoidFuture() }.wait()
        try? group.syncShutdownGracefully()
        return 0
    }

    /// Before there is any thread, so that all inherit it: signals are taken one by one in ``waitForEnd(_:)``.
    private static func blockSignals() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGALRM] { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        return set
    }

    /// HUP and ALRM mean nothing here: changed control files are seen without them.
    private static func waitForEnd(_ signals: sigset_t) {
        var set = signals
        var signal: Int32 = 0
        repeat { sigwait(&set, &signal) } while signal != SIGTERM && signal != SIGINT
    }
}
