import Authentication
import Testing

struct ThrottleTests {
    private static let limits = {
        var limits = Throttle.Limits()
        (limits.address, limits.network, limits.account, limits.familiar, limits.spray) = (3, 6, 5, 2, 4)
        (limits.pendingPerAddress, limits.forgetSeconds, limits.refusalSeconds, limits.maxRefusalSeconds) = (2, 100, 60, 200)
        return limits
    }()

    private struct Trial {
        var throttle = Throttle(ThrottleTests.limits)
        var now: UInt64 = 1000

        /// One try that fails, or is not admitted.
        mutating func fail(_ account: String, _ address: [UInt8]) -> Throttle.Admission {
            let admission = throttle.begun(Array(account.utf8), from: address[...], now: now)
            if admission == .admitted { _ = throttle.ended(Array(account.utf8), from: address[...], succeeded: false, now: now) }
            return admission
        }

        mutating func succeed(_ account: String, _ address: [UInt8]) -> Throttle.Admission {
            let admission = throttle.begun(Array(account.utf8), from: address[...], now: now)
            if admission == .admitted { _ = throttle.ended(Array(account.utf8), from: address[...], succeeded: true, now: now) }
            return admission
        }
    }

    private static func v6(_ bytes: UInt8...) -> [UInt8] { bytes + [UInt8](repeating: 7, count: 16 - bytes.count) }

    @Test func anAddressIsRefusedForATimeThatDoubles() {
        var trial = Trial()
        for _ in 0..<3 { #expect(trial.fail("joe", [192, 0, 2, 1]) == .admitted) }
        #expect(trial.fail("joe", [192, 0, 2, 1]) == .refused)
        #expect(trial.fail("ann", [192, 0, 2, 1]) == .refused)
        #expect(trial.succeed("ann", [192, 0, 2, 2]) == .admitted)
        trial.now += 60
        #expect(trial.fail("joe", [192, 0, 2, 1]) == .admitted)
        #expect(trial.fail("joe", [192, 0, 2, 1]) == .refused)
        trial.now += 119
        #expect(trial.fail("joe", [192, 0, 2, 1]) == .refused)
        trial.now += 1
        #expect(trial.succeed("ann", [192, 0, 2, 1]) == .admitted)
    }

    @Test func failuresAreForgottenOneByOne() {
        var trial = Trial()
        for _ in 0..<20 {
            #expect(trial.fail("joe", [192, 0, 2, 1]) == .admitted)
            trial.now += 100
        }
        #expect(trial.throttle.list(now: trial.now + 1000).isEmpty)
    }

    /// One customer of IPv6 has a whole /64.
    @Test(
        arguments: [
            ([192, 0, 2, 1], [192, 0, 2, 1]),
            (v6(0x20, 1, 0xD, 0xB8, 0, 0, 0, 1), v6(0x20, 1, 0xD, 0xB8, 0, 0, 0, 1, 99, 98)),
        ] as [([UInt8], [UInt8])])
    func oneAddress(_ one: [UInt8], _ other: [UInt8]) {
        var trial = Trial()
        for _ in 0..<3 { #expect(trial.fail("joe", one) == .admitted) }
        #expect(trial.succeed("ann", other) == .refused)
    }

    /// An address of the network, and the byte by which its hosts differ.
    @Test(arguments: [([192, 0, 2, 0], 3), (v6(0x20, 1, 0xD, 0xB8, 0, 5), 6)] as [([UInt8], Int)])
    func aNetworkIsCountedToo(_ network: [UInt8], _ place: Int) {
        func address(_ host: UInt8) -> [UInt8] { network.enumerated().map { $0 == place ? host : $1 } }
        var trial = Trial()
        for host in 0..<UInt8(6) { #expect(trial.fail("joe\(host % 2)", address(host)) == .admitted) }
        #expect(trial.succeed("ann", address(77)) == .refused)
        #expect(trial.succeed("ann", [198, 51, 100, 1]) == .admitted)
    }

    @Test func anAccountIsCountedWhereverItsGuessersAre() {
        var trial = Trial()
        for network in 0..<5 { #expect(trial.fail("joe", [10, 0, UInt8(network), 1]) == .admitted) }
        #expect(trial.fail("joe", [10, 0, 99, 1]) == .refused)
        #expect(trial.fail("ann", [10, 0, 98, 1]) == .admitted)
    }

    /// One guess at each of many accounts, from one network.
    @Test func passwordSpray() {
        var trial = Trial()
        for account in 0..<4 { #expect(trial.fail("user\(account)", [10, 0, 0, UInt8(account)]) == .admitted) }
        #expect(trial.fail("user9", [10, 0, 0, 200]) == .refused)
        #expect(trial.fail("user9", [10, 0, 1, 1]) == .admitted)
    }

    /// Nobody locks a person out by failing in that name, nor does a colleague's forgetful telephone.
    @Test func whereAnAccountHasLoggedInItIsCountedAlone() {
        var trial = Trial()
        #expect(trial.succeed("joe", [192, 0, 2, 1]) == .admitted)
        for host in 0..<UInt8(5) { _ = trial.fail("joe", [10, 0, host, 1]) }
        #expect(trial.fail("joe", [10, 0, 99, 1]) == .refused)
        for host in 0..<3 { _ = trial.fail("ann", [192, 0, 2, UInt8(host)]) }
        #expect(trial.succeed("joe", [192, 0, 2, 7]) == .admitted)
        // Who sits there and guesses has fewer tries than elsewhere.
        for _ in 0..<2 { #expect(trial.fail("joe", [192, 0, 2, 8]) == .admitted) }
        #expect(trial.fail("joe", [192, 0, 2, 8]) == .refused)
    }

    /// An own account's success does not wash away failures with others.
    @Test func aSuccessForgivesNothing() {
        var trial = Trial()
        _ = trial.fail("joe", [192, 0, 2, 1])
        _ = trial.fail("joe", [192, 0, 2, 1])
        #expect(trial.succeed("mallory", [192, 0, 2, 1]) == .admitted)
        _ = trial.fail("joe", [192, 0, 2, 1])
        #expect(trial.fail("joe", [192, 0, 2, 1]) == .refused)
    }

    @Test func manyAtOnceFromOneAddressWait() {
        var trial = Trial()
        let address: ArraySlice<UInt8> = [192, 0, 2, 1]
        #expect(trial.throttle.begun([1], from: address, now: 0) == .admitted)
        #expect(trial.throttle.begun([2], from: address, now: 0) == .admitted)
        #expect(trial.throttle.begun([3], from: address, now: 0) == .busy)
        trial.throttle.abandoned(from: address)
        #expect(trial.throttle.begun([3], from: address, now: 0) == .admitted)
        // A UNIX socket has no address; those behind it are counted by account.
        for _ in 0..<5 { #expect(trial.fail("joe", []) == .admitted) }
        #expect(trial.fail("joe", []) == .refused)
        #expect(trial.fail("ann", []) == .admitted)
    }

    @Test func failuresAreAnsweredLaterAndLater() {
        var throttle = Throttle()
        let delays = (0..<9).map { _ in throttle.ended([1], from: [192, 0, 2, 1], succeeded: false, now: 0) }
        #expect(delays == [1, 1, 2, 4, 8, 10, 10, 10, 10])
        #expect(throttle.ended([1], from: [192, 0, 2, 2], succeeded: true, now: 0) == 0)
    }

    @Test func theAdministratorHasTheLastWord() throws {
        var trial = Trial()
        let address = try #require(Throttle.Subject(address: [192, 0, 2, 1]))
        _ = trial.succeed("joe", [192, 0, 2, 1])
        trial.throttle.ban(address, for: nil, now: trial.now)
        #expect(trial.succeed("joe", [192, 0, 2, 1]) == .refused)
        trial.now += 1_000_000
        #expect(trial.succeed("joe", [192, 0, 2, 1]) == .refused)
        #expect(trial.throttle.list(now: trial.now) == [Throttle.Listed(subject: address, failures: 0, refusedFor: nil)])
        #expect(trial.throttle.release(address) == true)
        #expect(trial.throttle.release(address) == false)
        #expect(trial.succeed("joe", [192, 0, 2, 1]) == .admitted)
        trial.throttle.ban(.account(Array("joe".utf8)), for: 10, now: trial.now)
        #expect(trial.succeed("ann", [192, 0, 2, 1]) == .admitted)
        trial.now += 10
        #expect(trial.succeed("joe", [10, 9, 8, 7]) == .admitted)
    }

    @Test func anAccountIsReleasedWhereItIsFamiliarToo() {
        var trial = Trial()
        _ = trial.succeed("joe", [192, 0, 2, 1])
        for _ in 0..<2 { _ = trial.fail("joe", [192, 0, 2, 1]) }
        #expect(trial.succeed("joe", [192, 0, 2, 1]) == .refused)
        #expect(trial.throttle.release(.account(Array("joe".utf8))) == true)
        #expect(trial.succeed("joe", [192, 0, 2, 1]) == .admitted)
    }

    @Test func aNetworkHasNoMoreInHandThanItsShare() {
        var limits = Throttle.Limits()
        (limits.pendingPerAddress, limits.pendingPerNetwork) = (2, 5)
        var throttle = Throttle(limits)
        let admitted = (0..<10).filter { throttle.begun([1], from: [192, 0, 2, UInt8($0)], now: 0) == .admitted }
        #expect(admitted.count == 5)
        #expect(throttle.begun([1], from: [192, 0, 3, 1], now: 0) == .admitted)
        // Those that were not let in are not in hand.
        throttle.abandoned(from: [192, 0, 2, 0])
        #expect(throttle.begun([1], from: [192, 0, 2, 9], now: 0) == .admitted)
        #expect(throttle.begun([1], from: [192, 0, 2, 9], now: 0) == .busy)
    }

    @Test func memoryIsBounded() {
        var throttle = Throttle()
        throttle.ban(.address([1, 2, 3, 4]), for: nil, now: 0)
        for number in 0..<UInt32(Throttle.maxEntries) * 2 + 100 {
            let address = withUnsafeBytes(of: number.bigEndian) { Array($0) }
            _ = throttle.ended([UInt8(number & 1)], from: address[...], succeeded: false, now: UInt64(number))
        }
        #expect(throttle.list(now: 0).count <= 2 * Throttle.maxEntries)
        #expect(throttle.begun([9], from: [1, 2, 3, 4], now: 1) == .refused)
    }
}

struct SendingLimitsTests {
    private let joe = Array("joe@example.org".utf8)

    @Test func messagesAndRecipientsAnHour() {
        var limits = SendingLimits(SendingLimits.Limits(messages: 3, recipients: 10))
        #expect(limits.left(joe, now: 0) == 10)
        limits.sent(joe, recipients: 4, now: 0)
        #expect(limits.left(joe, now: 0) == 6)
        limits.sent(joe, recipients: 1, now: 0)
        limits.sent(joe, recipients: 1, now: 0)
        #expect(limits.left(joe, now: 0) == 0)
        #expect(limits.left(Array("ann".utf8), now: 0) == 10)
        // A third of an hour lets one message go.
        #expect(limits.left(joe, now: 1199) == 0)
        #expect(limits.left(joe, now: 1200) > 0)
        #expect(limits.left(joe, now: 3600) == 10)
    }

    @Test func oneMessageTooLargeIsPaidFor() {
        var limits = SendingLimits(SendingLimits.Limits(messages: 100, recipients: 10))
        limits.sent(joe, recipients: 20, now: 0)
        #expect(limits.left(joe, now: 1800) == 0)
        #expect(limits.left(joe, now: 7300) == 10)
    }

    @Test func noLimit() {
        var limits = SendingLimits(SendingLimits.Limits(messages: 0, recipients: 0))
        for _ in 0..<100 { limits.sent(joe, recipients: .max, now: 0) }
        #expect(limits.left(joe, now: 0) == .max)
    }

    /// Asked every second, it lets as much through as asked once.
    @Test func askingOftenChangesNothing() {
        var limits = SendingLimits(SendingLimits.Limits(messages: 1000, recipients: 1000))
        var sent = 0
        for second in 0..<UInt64(7200) {
            while limits.left(joe, now: second) > 0 {
                limits.sent(joe, recipients: 1, now: second)
                sent += 1
            }
        }
        #expect(sent >= 2980 && sent <= 3000)
    }

    @Test func memoryIsBounded() {
        var limits = SendingLimits()
        for number in 0..<SendingLimits.maxAccounts + 10 { limits.sent(Array("\(number)".utf8), recipients: 1, now: UInt64(number / 30)) }
        #expect(limits.left(Array("\(SendingLimits.maxAccounts + 9)".utf8), now: 2185) == 999)
    }
}
