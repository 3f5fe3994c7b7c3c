internal import Addresses
private import Frames
private import Glibc
internal import Posix
internal import RemoteDelivery

/// Connects to the first address that answers, in the order of preference (spec-qmail §14.4).
struct Dialing {
    struct Connection: ~Copyable {
        let socket: FileDescriptor
        let peer: IPAddress
    }

    private let timeout: UInt64
    private var timeouts = TimeoutFile()

    init(_ settings: RemoteSettings) { timeout = settings.connectTimeout }

    mutating func connect(_ plan: ConnectionPlan) throws(QmailRemote.Ending) -> Connection {
        var random = SystemRandomNumberGenerator()
        for attempt in plan.ordered(using: &random) {
            let address = attempt.address
            guard !timeouts.skips(address, now: unixTime(), jitter: UInt64(getpid())) else { continue }
            do throws(SystemError) {
                let socket = try Endpoint(address: address, port: attempt.port).connect(seconds: timeout)
                timeouts.answered(address)
                return Connection(socket: socket, peer: address)
            } catch {
                if error.errno == ETIMEDOUT { timeouts.timedOut(address, now: unixTime()) } else { timeouts.answered(address) }
            }
        }
        throw QmailRemote.Ending(DeliveryTexts.noConnection)
    }
}
