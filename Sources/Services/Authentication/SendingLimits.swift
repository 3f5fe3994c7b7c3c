/// How much each account may send: so many messages and recipients at once, and as many again spread over each hour. A pure machine; seconds that only grow
/// are an input. A message is charged before it is taken: what many connections send in the same moment stays within it as well.
package struct SendingLimits {
    /// Per hour; 0 is no limit.
    package struct Limits: Equatable, Sendable {
        package var messages: UInt32
        package var recipients: UInt32

        package init(messages: UInt32 = 200, recipients: UInt32 = 1000) {
            self.messages = messages
            self.recipients = recipients
        }
    }

    private struct Used {
        var messages: Bucket
        var recipients: Bucket
        var isEmpty: Bool { messages.used == 0 && recipients.used == 0 }
    }

    /// Empties itself at `limit` an hour.
    private struct Bucket {
        /// In 3600ths: a second empties it by `limit` of them, and nothing is lost by asking often.
        private(set) var used: UInt64 = 0
        private var since: UInt64

        private static let unit: UInt64 = 3600

        init(since: UInt64) { self.since = since }

        mutating func add(_ count: UInt32) { used &+= UInt64(count) &* Self.unit }

        mutating func drain(_ limit: UInt32, _ now: UInt64) {
            let seconds = min(now &- min(since, now), 1 << 31)
            used -= min(used, seconds &* UInt64(limit))
            since = now
        }

        func left(_ limit: UInt32) -> UInt32 {
            let most = UInt64(limit) &* Self.unit
            return limit == 0 ? .max : UInt32(clamping: (most - min(most, used)) / Self.unit)
        }
    }

    package static let maxAccounts = 65_536

    package var limits: Limits
    private var accounts: [[UInt8]: Used] = [:]

    package init(_ limits: Limits = Limits()) { self.limits = limits }

    /// - Returns: how many recipients the account may still address; 0 when it may send no message.
    package mutating func left(_ account: [UInt8], now: UInt64) -> UInt32 {
        guard let used = drained(account, now) else { return limits.recipients == 0 ? .max : limits.recipients }
        return used.messages.left(limits.messages) == 0 ? 0 : used.recipients.left(limits.recipients)
    }

    /// One message to so many recipients, all or nothing.
    /// - Returns: false when it is more than is left, and nothing was charged.
    package mutating func charge(_ account: [UInt8], recipients: UInt32, now: UInt64) -> Bool {
        guard left(account, now: now) >= max(recipients, 1) else { return false }
        if accounts[account] == nil, accounts.count >= Self.maxAccounts { sweep(now) }
        var used = drained(account, now) ?? Used(messages: Bucket(since: now), recipients: Bucket(since: now))
        used.messages.add(1)
        used.recipients.add(recipients)
        accounts[account] = used
        return true
    }

    private mutating func drained(_ account: [UInt8], _ now: UInt64) -> Used? {
        guard var used = accounts[account] else { return nil }
        used.messages.drain(limits.messages, now)
        used.recipients.drain(limits.recipients, now)
        accounts[account] = used.isEmpty ? nil : used
        return used
    }

    /// Those whose hour is over go; if none is, all: more accounts than that do not send within one hour.
    private mutating func sweep(_ now: UInt64) {
        for account in Array(accounts.keys) { _ = drained(account, now) }
        if accounts.count >= Self.maxAccounts { accounts.removeAll() }
    }
}
