internal import Authentication
internal import ControlFiles
private import Posix

/// What is counted and limited, on one clock.
final class Gate {
    var throttle = Throttle()
    private var sending: SendingLimits
    private let settings: Watched<AuthSettings>

    init(_ settings: Watched<AuthSettings>) {
        self.settings = settings
        sending = SendingLimits(settings.value.sending)
    }

    /// Seconds that only grow.
    var now: UInt64 { monotonicNanoseconds() / 1_000_000_000 }

    /// How many recipients the account may still address.
    func left(_ account: [UInt8]) -> UInt32 {
        sending.limits = settings.refreshed().sending
        return sending.left(account, now: now)
    }

    func charge(_ account: [UInt8], recipients: UInt32) -> Bool {
        sending.limits = settings.refreshed().sending
        return sending.charge(account, recipients: recipients, now: now)
    }
}
