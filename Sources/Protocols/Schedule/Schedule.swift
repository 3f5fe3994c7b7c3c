package import Addresses

/// Decides which delivery starts next. Pure: what happens and what time it is come in, what to start goes out.
///
/// A message is a *job* on each channel it has recipients on. A job that is due opens a *pass*: one walk through its recipients, each tried once.
/// Open passes take turns, one delivery each, so that a list of a million never delays a personal mail. When a pass has walked through and all its
/// deliveries have ended, the owner says when the job is due again.
///
/// It must not know what a message is: ids, cursors and destinations are its whole world. What holds: no limit is exceeded, and a recipient is
/// tried once in a pass.
package struct Schedule {
    package struct Limits: Equatable, Sendable {
        /// Deliveries at a time; 0 holds the channel.
        package var concurrencyLocal = 10
        package var concurrencyRemote = 20
        /// Of the remote deliveries, to one host.
        package var perDestination = 20
        /// Seconds after which a passing failure is final (spec-qmail §9.1).
        package var lifetime: UInt64 = 604_800

        package init() {}

        package func concurrency(_ channel: Channel) -> Int { channel == .local ? concurrencyLocal : concurrencyRemote }
    }

    /// What a pass would deliver next, as its owner sees it.
    package struct Candidate {
        /// The host, in lower case; empty when its number of deliveries is not limited.
        package var destination: [UInt8]
        /// Where the walk goes on behind it.
        package var cursor: UInt32

        package init(destination: [UInt8], cursor: UInt32) {
            self.destination = destination
            self.cursor = cursor
        }
    }

    package struct Start: Equatable, Sendable {
        package let id: UInt64
        package let channel: Channel
        /// Where the walk stood: the recipients to deliver to begin here.
        package let cursor: UInt32
        package let destination: [UInt8]
        /// The message has been in the queue too long: what fails now fails for good.
        package let isDying: Bool

        package init(id: UInt64, channel: Channel, cursor: UInt32, destination: [UInt8], isDying: Bool) {
            self.id = id
            self.channel = channel
            self.cursor = cursor
            self.destination = destination
            self.isDying = isDying
        }
    }

    /// A pass is over; the job is due again at `next` if it has recipients left.
    package struct PassEnd: Equatable, Sendable {
        package let id: UInt64
        package let channel: Channel
        package let next: UInt64
        /// An administrator wants that attempt: it is not the last one even if the lifetime is over.
        package let isSpared: Bool

        package init(id: UInt64, channel: Channel, next: UInt64, isSpared: Bool = false) {
            self.id = id
            self.channel = channel
            self.next = next
            self.isSpared = isSpared
        }
    }

    private struct Pass {
        var cursor: UInt32 = 0
        var inFlight = 0
        var isWalked = false
        var next: UInt64
        var isNextSpared = false
        let isDying: Bool
    }

    private struct Lane {
        var due = DueQueue()
        var passes: [UInt64: Pass] = [:]
        /// Passes that may start a delivery, in turn.
        var turns = Turns()
        var inFlight = 0
        /// Held jobs whose time came, and when that was.
        var kept: [UInt64: UInt64] = [:]
    }

    package var limits: Limits
    private var local = Lane()
    private var remote = Lane()
    private var perDestination: [[UInt8]: Int] = [:]
    /// Passes whose next recipient's host has all the deliveries it may have.
    private var parked: [[UInt8]: Turns] = [:]
    private var held: Set<UInt64> = []

    package init(_ limits: Limits) { self.limits = limits }

    private subscript(_ channel: Channel) -> Lane {
        get { channel == .local ? local : remote }
        _modify { if channel == .local { yield &local } else { yield &remote } }
    }

    // MARK: Events

    /// - Parameter isSpared: the next pass is not the last one even if the lifetime is over: the clock cannot be trusted for what was accepted before
    ///   this process began, until it has been tried once.
    package mutating func add(_ id: UInt64, _ channel: Channel, due: UInt64, isSpared: Bool = false) {
        self[channel].due.add(id, due: due, isSpared: isSpared)
    }

    /// The clock has jumped: what waits gets one more chance before its lifetime counts.
    package mutating func spareAll() {
        local.due.spareAll()
        remote.due.spareAll()
    }

    package mutating func makeAllDue(now: UInt64) {
        local.due.makeAllDue(now)
        remote.due.makeAllDue(now)
    }

    /// Starts nothing of a message any more, until it is released; what was started goes on.
    package mutating func hold(_ id: UInt64) { held.insert(id) }

    /// What came due meanwhile is due now, in its order. It is spared: the time on hold was not the receiving host's.
    package mutating func release(_ id: UInt64) {
        guard held.remove(id) != nil else { return }
        for channel in Channel.allCases {
            if let due = self[channel].kept.removeValue(forKey: id) { add(id, channel, due: due, isSpared: true) }
        }
    }

    /// A job need not wait for its time. One whose pass goes on is due again when that ends.
    package mutating func makeDue(_ id: UInt64, _ channel: Channel, now: UInt64) {
        if self[channel].passes[id] != nil {
            self[channel].passes[id]?.next = now
            self[channel].passes[id]?.isNextSpared = true
        } else if self[channel].kept[id] == nil {
            self[channel].due.moveUp(id, to: now)
        }
    }

    /// Nobody of a waiting job is left; should it be added again, it does not come at its old time.
    package mutating func withdraw(_ id: UInt64, _ channel: Channel) {
        // A pass that goes on ends by itself.
        guard self[channel].passes[id] == nil, self[channel].kept.removeValue(forKey: id) == nil else { return }
        self[channel].due.withdraw(id)
    }

    /// A message is gone.
    package mutating func forget(_ id: UInt64) {
        guard held.remove(id) != nil else { return }
        local.kept[id] = nil
        remote.kept[id] = nil
    }

    /// Whether a pass of the job goes on.
    package func isInPass(_ id: UInt64, _ channel: Channel) -> Bool { self[channel].passes[id] != nil }

    /// One delivery that was started has been reported.
    /// - Returns: what to do if that was the last of its pass.
    package mutating func ended(_ id: UInt64, _ channel: Channel, destination: [UInt8]) -> PassEnd? {
        self[channel].inFlight -= 1
        self[channel].passes[id]?.inFlight -= 1
        if channel == .remote, !destination.isEmpty { freeDestination(destination) }
        return endPass(id, channel)
    }

    private mutating func freeDestination(_ destination: [UInt8]) {
        let left = (perDestination[destination] ?? 1) - 1
        perDestination[destination] = left > 0 ? left : nil
        // It has waited for its turn already.
        if let id = parked[destination]?.popFirst() { remote.turns.prepend(id) }
        if parked[destination]?.count == 0 { parked[destination] = nil }
    }

    private mutating func endPass(_ id: UInt64, _ channel: Channel) -> PassEnd? {
        guard let pass = self[channel].passes[id], pass.isWalked, pass.inFlight == 0 else { return nil }
        self[channel].passes[id] = nil
        return PassEnd(id: id, channel: channel, next: pass.next, isSpared: pass.isNextSpared)
    }

    // MARK: Questions

    package func inFlight(_ channel: Channel) -> Int { self[channel].inFlight }
    /// Messages that wait on the channel for their time.
    package func waiting(_ channel: Channel) -> Int { self[channel].due.count }
    /// When the next that is not yet due will be; seconds since 1970. What is due and could not start waits for room, not for a time.
    package func nextDue(after now: UInt64) -> UInt64? { [local.due.next, remote.due.next].compactMap(\.self).filter { $0 > now }.min() }

    package enum Decision: Equatable, Sendable {
        case start(Start)
        /// A pass ended without a delivery under way.
        case passEnded(PassEnd)
        /// Many passes were looked at and parked: ask again when other events have had their turn.
        case more
        case nothing
    }

    /// Looked at in one question, at most.
    private static let stepsPerQuestion = 1000

    /// The next step on `channel`; call it until it says `.nothing`.
    ///
    /// - Parameters:
    ///   - room: the deliveries that whoever carries them out would take now.
    ///   - birth: of a message; nil when it is gone.
    ///   - candidate: the first pending recipients of a message at or behind a cursor; nil when there are none.
    package mutating func next(
        _ channel: Channel, room: Int, now: UInt64, birth: (UInt64) -> UInt64?, candidate: (UInt64, UInt32) -> Candidate?
    ) -> Decision {
        var steps = 0
        while room > 0, self[channel].inFlight < limits.concurrency(channel) {
            steps += 1
            guard steps <= Self.stepsPerQuestion else { return .more }
            openDue(channel, now, birth)
            guard let id = self[channel].turns.popFirst(), var pass = self[channel].passes[id] else { return .nothing }
            // A pass that is cut off is due again at once: some recipients have not been tried.
            if held.contains(id) { self[channel].passes[id]?.next = now }
            guard !held.contains(id), let found = candidate(id, pass.cursor) else {
                self[channel].passes[id]?.isWalked = true
                if let end = endPass(id, channel) { return .passEnded(end) }
                continue
            }
            if channel == .remote, !found.destination.isEmpty, perDestination[found.destination, default: 0] >= limits.perDestination {
                parked[found.destination, default: Turns()].append(id)
                continue
            }
            let start = Start(id: id, channel: channel, cursor: pass.cursor, destination: found.destination, isDying: pass.isDying)
            pass.cursor = found.cursor
            pass.inFlight += 1
            self[channel].passes[id] = pass
            self[channel].inFlight += 1
            self[channel].turns.append(id)
            if channel == .remote, !found.destination.isEmpty { perDestination[found.destination, default: 0] += 1 }
            return .start(start)
        }
        return .nothing
    }

    /// Passes are opened as turns come up. Those that wait for a busy host are parked and cost a few words each, so that they hold up nobody.
    private mutating func openDue(_ channel: Channel, _ now: UInt64, _ birth: (UInt64) -> UInt64?) {
        while self[channel].turns.count < 2 * limits.concurrency(channel) {
            guard let (id, due, isSpared) = self[channel].due.popDue(now) else { return }
            if held.contains(id) {
                self[channel].kept[id] = due
                continue
            }
            guard let born = birth(id), self[channel].passes[id] == nil else { continue }
            let isDying = !isSpared && now > born && now - born > limits.lifetime
            self[channel].passes[id] = Pass(next: RetrySchedule.next(channel, birth: born, now: now), isDying: isDying)
            self[channel].turns.append(id)
        }
    }
}

/// First in, first out, without moving what waits.
struct Turns {
    private var ids: [UInt64] = []
    private var first = 0

    var count: Int { ids.count - first }

    mutating func append(_ id: UInt64) { ids.append(id) }

    mutating func prepend(_ id: UInt64) {
        if first > 0 {
            first -= 1
            ids[first] = id
        } else {
            ids.insert(id, at: 0)
        }
    }

    mutating func popFirst() -> UInt64? {
        guard first < ids.count else { return nil }
        defer {
            first += 1
            if first > 1024, first * 2 > ids.count {
                ids.removeFirst(first)
                first = 0
            }
        }
        return ids[first]
    }
}
