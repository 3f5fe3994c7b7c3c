import Addresses
import Schedule
import Testing

@Suite struct RetryScheduleTests {
    /// spec-qmail §9.1: attempts after these seconds.
    @Test func attemptsFollowTheSquares() {
        #expect(attempts(.local, 5) == [0, 100, 400, 900, 1600])
        #expect(attempts(.remote, 5) == [0, 400, 1600, 3600, 6400])
    }

    private func attempts(_ channel: Channel, _ count: Int) -> [UInt64] {
        var times: [UInt64] = [1_000_000]
        while times.count < count { times.append(RetrySchedule.next(channel, birth: 1_000_000, now: times[times.count - 1])) }
        return times.map { $0 - 1_000_000 }
    }

    @Test func aClockThatWentBackCountsAsNoAge() { #expect(RetrySchedule.next(.local, birth: 1000, now: 10) == 1100) }
    @Test func aWildClockDoesNotTrap() { _ = RetrySchedule.next(.remote, birth: .max - 5, now: .max) }
}

@Suite struct ScheduleTests {
    /// Messages of so many recipients, each at its own host unless `host` says otherwise; the cursor counts them.
    struct Mail {
        var schedule: Schedule
        var recipients: [UInt64: Int] = [:]
        var host: (UInt64, UInt32) -> String = { id, cursor in "host\(id)-\(cursor)" }

        init(_ change: (inout Schedule.Limits) -> Void = { _ in }) {
            var limits = Schedule.Limits()
            change(&limits)
            schedule = Schedule(limits)
        }

        mutating func add(_ id: UInt64, _ count: Int, _ channel: Channel = .remote, due: UInt64 = 0) {
            recipients[id] = count
            schedule.add(id, channel, due: due)
        }

        mutating func next(_ channel: Channel = .remote, room: Int = 1000, now: UInt64 = 0) -> Schedule.Decision {
            let recipients = recipients
            let host = host
            let candidate = { (id: UInt64, cursor: UInt32) -> Schedule.Candidate? in
                guard let count = recipients[id], cursor < count else { return nil }
                return Schedule.Candidate(destination: Array(host(id, cursor).utf8), cursor: cursor + 1)
            }
            return schedule.next(channel, room: room, now: now, birth: { _ in 0 }, candidate: candidate)
        }

        /// Ids of the deliveries that start until nothing more can.
        mutating func startAll(_ channel: Channel = .remote, now: UInt64 = 0) -> [UInt64] {
            var ids: [UInt64] = []
            while true {
                switch next(channel, now: now) {
                case .start(let start): ids.append(start.id)
                case .more: continue
                case .passEnded, .nothing: return ids
                }
            }
        }
    }

    @Test func concurrencyIsPerChannel() {
        var mail = Mail {
            $0.concurrencyLocal = 3
            $0.concurrencyRemote = 2
        }
        for id in 1...5 { mail.add(UInt64(id), 1, .local) }
        for id in 6...9 { mail.add(UInt64(id), 1, .remote) }
        #expect(mail.startAll(.local) == [1, 2, 3])
        #expect(mail.startAll(.remote) == [6, 7])
        #expect(mail.schedule.ended(2, .local, destination: Array("host2-0".utf8)) == nil)
        #expect(mail.next(.local) == .start(.init(id: 4, channel: .local, cursor: 0, destination: Array("host4-0".utf8), isDying: false)))
    }

    @Test func zeroConcurrencyHolds() {
        var mail = Mail { $0.concurrencyRemote = 0 }
        mail.add(1, 1)
        #expect(mail.next() == .nothing)
    }

    @Test func noRoomStartsNothing() {
        var mail = Mail()
        mail.add(1, 1)
        #expect(mail.next(room: 0) == .nothing)
    }

    @Test func aListDoesNotDelayPersonalMail() {
        var mail = Mail { $0.concurrencyRemote = 4 }
        mail.add(1, 1_000_000)
        #expect(mail.startAll() == [1, 1, 1, 1])
        mail.add(2, 1)
        _ = mail.schedule.ended(1, .remote, destination: Array("host1-0".utf8))
        _ = mail.schedule.ended(1, .remote, destination: Array("host1-1".utf8))
        #expect(mail.startAll().contains(2))
    }

    @Test func oneHostTakesNoMoreThanItsShare() {
        var mail = Mail {
            $0.concurrencyRemote = 10
            $0.perDestination = 2
        }
        mail.host = { id, _ in id <= 5 ? "busy" : "free\(id)" }
        for id in 1...7 { mail.add(UInt64(id), 1) }
        #expect(mail.startAll() == [1, 2, 6, 7])
        _ = mail.schedule.ended(1, .remote, destination: Array("busy".utf8))
        #expect(mail.startAll() == [3])
    }

    @Test func aPassTriesEachRecipientOnceAndSaysWhenItIsOver() {
        var mail = Mail()
        mail.add(1, 2, .local)
        #expect(mail.startAll(.local) == [1, 1])
        #expect(mail.schedule.ended(1, .local, destination: []) == nil)
        #expect(mail.schedule.ended(1, .local, destination: []) == .init(id: 1, channel: .local, next: 100))
        #expect(mail.next(.local) == .nothing)
        mail.schedule.add(1, .local, due: 100)
        #expect(mail.next(.local, now: 99) == .nothing)
        #expect(mail.schedule.nextDue(after: 99) == 100)
        #expect(mail.schedule.nextDue(after: 100) == nil)
        if case .start(let start) = mail.next(.local, now: 100) { #expect(start.cursor == 0) } else { Issue.record("not started") }
    }

    @Test func aMessageWithoutRecipientsEndsAtOnce() {
        var mail = Mail()
        mail.add(1, 0, .local)
        #expect(mail.next(.local) == .passEnded(.init(id: 1, channel: .local, next: 100)))
    }

    @Test func theLastAttemptIsDying() {
        var mail = Mail { $0.lifetime = 50 }
        mail.add(1, 1, .local)
        if case .start(let start) = mail.next(.local, now: 51) { #expect(start.isDying) } else { Issue.record("not started") }
        var young = Mail { $0.lifetime = 50 }
        young.add(1, 1, .local)
        if case .start(let start) = young.next(.local, now: 50) { #expect(!start.isDying) } else { Issue.record("not started") }
    }

    @Test func aSparedMessageIsTriedOnceMoreWhateverTheClockSays() {
        var mail = Mail { $0.lifetime = 50 }
        mail.recipients[1] = 1
        mail.schedule.add(1, .local, due: 0, isSpared: true)
        if case .start(let start) = mail.next(.local, now: 1000) { #expect(!start.isDying) } else { Issue.record("not started") }
        mail.add(2, 1, .local)
        mail.schedule.spareAll()
        if case .start(let start) = mail.next(.local, now: 1000) { #expect(!start.isDying) } else { Issue.record("not started") }
    }

    @Test func anEndlessLifetimeIsNoLifetimeOver() {
        var mail = Mail { $0.lifetime = .max }
        mail.add(1, 1, .local)
        if case .start(let start) = mail.next(.local, now: 10) { #expect(!start.isDying) } else { Issue.record("not started") }
    }

    @Test func aHeldChannelDoesNotHideTheOthersTimes() {
        var mail = Mail { $0.concurrencyLocal = 0 }
        mail.add(1, 1, .local, due: 5)
        mail.add(2, 1, .remote, due: 500)
        #expect(mail.next(.local, now: 100) == .nothing)
        #expect(mail.schedule.nextDue(after: 100) == 500)
    }

    @Test func alarmKeepsTheOrder() {
        var mail = Mail { $0.concurrencyRemote = 100 }
        for id in [3, 1, 2] { mail.add(UInt64(id), 1, due: UInt64(100 * id)) }
        mail.schedule.makeAllDue(now: 5)
        #expect(mail.startAll(now: 5) == [1, 2, 3])
    }

    @Test func alarmMakesAllDue() {
        var mail = Mail()
        for id in 1...10 { mail.add(UInt64(id), 1, due: UInt64(1000 - id)) }
        #expect(mail.next(now: 5) == .nothing)
        mail.schedule.makeAllDue(now: 5)
        #expect(mail.startAll(now: 5).count == 10)
    }

    @Test func aHeldMessageWaitsAndOthersGoOn() {
        var mail = Mail()
        for id in 1...3 { mail.add(UInt64(id), 1) }
        mail.schedule.hold(2)
        #expect(mail.startAll() == [1, 3])
        mail.schedule.makeAllDue(now: 10)
        #expect(mail.startAll(now: 10) == [])
        mail.schedule.release(2)
        #expect(mail.startAll(now: 10) == [2])
    }

    @Test func aReleaseBeforeItsTimeChangesNothing() {
        var mail = Mail()
        mail.add(1, 1, due: 100)
        mail.schedule.hold(1)
        mail.schedule.release(1)
        #expect(mail.startAll(now: 99) == [])
        #expect(mail.startAll(now: 100) == [1])
        #expect(mail.startAll(now: 200) == [])
    }

    @Test func theFirstAttemptAfterAHoldIsNotTheLast() {
        var mail = Mail { $0.lifetime = 50 }
        mail.add(1, 1, .local)
        mail.schedule.hold(1)
        #expect(mail.startAll(.local) == [])
        mail.schedule.release(1)
        if case .start(let start) = mail.next(.local, now: 1000) { #expect(!start.isDying) } else { Issue.record("not started") }
    }

    /// What is under way ends; the rest of the pass is due again at once, and waits for the release.
    @Test func aHoldCutsThePass() {
        var mail = Mail { $0.concurrencyLocal = 1 }
        mail.add(1, 3, .local)
        #expect(mail.startAll(.local) == [1])
        mail.schedule.hold(1)
        #expect(mail.schedule.ended(1, .local, destination: []) == nil)
        #expect(mail.next(.local, now: 7) == .passEnded(.init(id: 1, channel: .local, next: 7)))
        mail.schedule.add(1, .local, due: 7)
        #expect(mail.next(.local, now: 7) == .nothing)
        mail.schedule.release(1)
        if case .start(let start) = mail.next(.local, now: 8) { #expect(start.cursor == 0) } else { Issue.record("not started") }
    }

    @Test func aHeldMessageThatIsGoneStaysGone() {
        var mail = Mail()
        mail.add(1, 1)
        mail.schedule.hold(1)
        #expect(mail.startAll() == [])
        mail.schedule.forget(1)
        mail.schedule.release(1)
        #expect(mail.startAll(now: 10) == [])
    }

    @Test func aMessageMadeDueIsTriedOnce() {
        var mail = Mail()
        for id in 1...3 { mail.add(UInt64(id), 1, due: 1000) }
        mail.schedule.makeDue(2, .remote, now: 5)
        mail.schedule.makeDue(2, .remote, now: 6)
        #expect(mail.schedule.waiting(.remote) == 3)
        #expect(mail.startAll(now: 6) == [2])
        _ = mail.schedule.ended(2, .remote, destination: Array("host2-0".utf8))
        // Its old time means nothing any more.
        mail.schedule.add(2, .remote, due: 2000)
        mail.schedule.makeDue(2, .remote, now: 10)
        #expect(mail.startAll(now: 10) == [2])
        _ = mail.schedule.ended(2, .remote, destination: Array("host2-0".utf8))
        mail.schedule.add(2, .remote, due: 3000)
        #expect(mail.startAll(now: 2000) == [1, 3])
        #expect(mail.startAll(now: 3000) == [2])
        #expect(mail.schedule.waiting(.remote) == 0)
    }

    @Test func madeDueThenAlarmedIsTriedOnce() {
        var mail = Mail()
        for id in 1...2 { mail.add(UInt64(id), 1, due: 1000) }
        mail.schedule.makeDue(2, .remote, now: 5)
        mail.schedule.makeAllDue(now: 6)
        #expect(mail.startAll(now: 6) == [2, 1])
        #expect(mail.startAll(now: 5000) == [])
    }

    @Test func onePassMoreFollowsOneThatGoesOn() {
        var mail = Mail()
        mail.add(1, 1, .local)
        #expect(mail.startAll(.local) == [1])
        mail.schedule.makeDue(1, .local, now: 3)
        #expect(mail.schedule.ended(1, .local, destination: []) == .init(id: 1, channel: .local, next: 3, isSpared: true))
    }

    /// An administrator takes all of a job's recipients away, and brings some back: it is tried at its new times only.
    @Test func aWithdrawnJobLeavesNothingBehind() {
        var mail = Mail()
        for id in 1...2 { mail.add(UInt64(id), 1, due: 1000) }
        mail.schedule.withdraw(1, .remote)
        #expect(mail.schedule.waiting(.remote) == 1)
        mail.schedule.add(1, .remote, due: 5)
        #expect(mail.startAll(now: 5) == [1])
        _ = mail.schedule.ended(1, .remote, destination: Array("host1-0".utf8))
        mail.schedule.add(1, .remote, due: 3000)
        #expect(mail.startAll(now: 2000) == [2])
        #expect(mail.startAll(now: 3000) == [1])
        #expect(mail.schedule.waiting(.remote) == 0)
    }

    @Test func aWithdrawnJobIsNotTriedAtItsOldTime() {
        var mail = Mail()
        mail.add(1, 1, due: 1000)
        mail.add(2, 1, due: 1000)
        mail.schedule.hold(2)
        #expect(mail.startAll(now: 10) == [])
        mail.schedule.withdraw(1, .remote)
        #expect(mail.startAll(now: 1000) == [])
        mail.schedule.withdraw(2, .remote)
        mail.schedule.release(2)
        #expect(mail.startAll(now: 2000) == [])
    }

    @Test func madeDueIsNotTheLastAttempt() {
        var mail = Mail { $0.lifetime = 50 }
        mail.add(1, 1, .local, due: 1000)
        mail.schedule.makeDue(1, .local, now: 60)
        if case .start(let start) = mail.next(.local, now: 60) { #expect(!start.isDying) } else { Issue.record("not started") }
    }

    /// A backlog of many messages for one dead host does not stop the others.
    @Test func aBacklogForOneHostLeavesRoom() {
        var mail = Mail {
            $0.concurrencyRemote = 20
            $0.perDestination = 5
        }
        mail.host = { id, _ in id <= 6000 ? "dead" : "alive" }
        for id in 1...6001 { mail.add(UInt64(id), 1) }
        #expect(mail.startAll() == [1, 2, 3, 4, 5, 6001])
    }
}
