import Dates
import Testing

@Suite struct MailDateTests {
    @Test(
        arguments: [
            (0, "1 Jan 1970 00:00:00 -0000", "Thu Jan 01 00:00:00 1970"), (812_090_814, "26 Sep 1995 04:46:54 -0000", "Tue Sep 26 04:46:54 1995"),
            (951_782_400, "29 Feb 2000 00:00:00 -0000", "Tue Feb 29 00:00:00 2000"),
            (4_107_542_399, "28 Feb 2100 23:59:59 -0000", "Sun Feb 28 23:59:59 2100"),
            (4_107_542_400, "1 Mar 2100 00:00:00 -0000", "Mon Mar 01 00:00:00 2100"),
        ] as [(UInt64, String, String)])
    func knownMoments(_ seconds: UInt64, _ header: String, _ fromLine: String) {
        #expect(MailDate(seconds).header == header)
        #expect(MailDate(seconds).fromLine == fromLine)
    }

    @Test func compactIsFourteenDigits() { #expect(MailDate(812_090_813).compact == "19950926044653") }

    @Test func aWildClockStaysInBounds() { #expect(MailDate(.max).year == 9999) }
}
