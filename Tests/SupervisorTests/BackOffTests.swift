import Supervisor
import Testing

struct BackOffTests {
    @Test func doublesWithEachEarlyDeathUpToItsLimit() {
        var backOff = BackOff()
        let waits = (0..<7).map { _ in backOff.ended(afterLife: 0.1) }
        #expect(waits == [1, 2, 4, 8, 16, 30, 30])
    }

    @Test func aGoodLifeForgetsWhatWasBefore() {
        var backOff = BackOff()
        for _ in 0..<4 { _ = backOff.ended(afterLife: 59.9) }
        #expect(backOff.ended(afterLife: 60) == 1)
        #expect(backOff.ended(afterLife: 0) == 2)
    }
}
