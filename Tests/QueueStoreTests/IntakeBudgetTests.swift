import QueueStore
import Testing

@Suite struct IntakeBudgetTests {
    private static func limits(_ bytes: Int, _ count: Int = 2) -> IntakeBudget.Limits {
        IntakeBudget.Limits(heldBytes: bytes, connections: count, openFiles: count)
    }

    @Test func memoryIsShortThenFull() {
        let budget = IntakeBudget(Self.limits(100))
        budget.hold(50)
        #expect(!budget.isShort)
        budget.hold(1)
        #expect(budget.isShort && !budget.isFull)
        budget.hold(50)
        #expect(budget.isFull)
        budget.release(1)
        #expect(!budget.isFull)
    }

    @Test func membersShareTheirParentAndKeepTheirOwn() {
        let all = IntakeBudget(Self.limits(100, 3))
        let (a, b) = (IntakeBudget(Self.limits(60), within: all), IntakeBudget(Self.limits(60), within: all))
        let apart = IntakeBudget(Self.limits(60))
        a.hold(61)
        #expect(a.isFull && !b.isFull && !all.isFull)
        b.hold(40)
        #expect(b.isFull && all.isFull && !apart.isFull)
        a.release(61)
        #expect(!a.isFull && !b.isFull && all.held == 40)
    }

    @Test func clientsWaitForTheDiskAndGoOn() {
        let all = IntakeBudget(Self.limits(100))
        let member = IntakeBudget(Self.limits(60), within: all)
        member.hold(60)
        #expect(!member.mustWait, "what only clients can end is nothing to wait for")
        member.beginDraining(31)
        #expect(member.mustWait && !member.mayGoOn && !all.mustWait)
        member.endDraining(10)
        #expect(!member.mustWait && !member.mayGoOn)
        member.endDraining(10)
        #expect(member.mayGoOn)
        #expect(member.held == 40 && all.held == 40 && all.draining == 11)
    }

    @Test func descriptorsAreCountedHereAndAbove() {
        let all = IntakeBudget(Self.limits(100, 3))
        let (a, b) = (IntakeBudget(Self.limits(60), within: all), IntakeBudget(Self.limits(60), within: all))
        #expect(a.takeConnection() && a.takeConnection() && !a.takeConnection())
        #expect(b.takeConnection() && !b.takeConnection())
        #expect(all.connections == 3 && b.connections == 1)
        a.giveBackConnection()
        #expect(b.takeConnection())
        #expect(a.takeFile() && a.takeFile() && !a.takeFile())
        a.giveBackFile()
        #expect(a.takeFile() && all.openFiles == 2)
    }
}
