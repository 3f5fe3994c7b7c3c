private import Bytes

/// A moment in UTC, broken into the parts that mail writes. Shapes: spec-qmail appendix A; calendar: proleptic Gregorian.
///
/// It reads no clock and no time zone: the second is an input, the result is always UTC.
package struct MailDate: Equatable, Sendable {
    package let year: Int
    /// 1…12
    package let month: Int
    /// 1…31
    package let day: Int
    /// 0 = Sunday
    package let weekday: Int
    package let hour: Int
    package let minute: Int
    package let second: Int

    /// - Parameter seconds: since 1970.
    package init(_ seconds: UInt64) {
        // Beyond the year 9999 no mail format has room; the clock is wrong anyway.
        let seconds = Int(min(seconds, 253_402_300_799))
        let days = seconds / 86_400
        let rest = seconds % 86_400
        hour = rest / 3600
        minute = rest / 60 % 60
        second = rest % 60
        weekday = (days + 4) % 7
        // Count from 1 March of the year 0, so that the leap day is the last of its year.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// `04:46:54`
    package var time: String { "\(Self.two(hour)):\(Self.two(minute)):\(Self.two(second))" }

    /// `26 Sep 1995 04:46:54`: what `qmail-qread` shows, day not padded.
    package var dateAndTime: String { "\(day) \(Self.months[month - 1]) \(year) \(time)" }

    /// `26 Sep 1995 04:46:54 -0000`: Date and Received fields.
    package var header: String { dateAndTime + " -0000" }

    /// `Sat Jan 03 01:05:34 1996`: the From_ line of an mbox.
    package var fromLine: String { "\(Self.weekdays[weekday]) \(Self.months[month - 1]) \(Self.two(day)) \(time) \(year)" }

    /// `19950926044653`: in the Message-IDs of qmail-inject.
    package var compact: String {
        let digits = String(year)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits + [month, day, hour, minute, second].map(Self.two).joined()
    }
}
