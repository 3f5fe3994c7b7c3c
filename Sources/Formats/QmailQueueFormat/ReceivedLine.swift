private import Bytes

/// The line that qmail-queue puts in front of a message, `Received: (qmail PID invoked HOW); DATE` (qmail §3.1): all that tells who queued a message
/// once its `todo` file is gone.
package struct ReceivedLine: Equatable, Sendable {
    package let pid: UInt64
    /// Of `by uid UID`; nil for other words.
    package let uid: UInt32?

    /// - Returns: nil when the content does not begin with such a line.
    package init?(content: some Collection<UInt8>) {
        let line = Array(content.prefix { $0 != ASCII.lf })
        let start = Array("Received: (qmail ".utf8)
        guard line.starts(with: start), let pid = parseLeadingDecimal(line.dropFirst(start.count)) else { return nil }
        self.pid = pid
        let rest = line.dropFirst(start.count).drop(while: \.isDigit)
        let how = Array(" invoked by uid ".utf8)
        uid = rest.starts(with: how) ? parseLeadingDecimal(rest.dropFirst(how.count)).flatMap(UInt32.init(exactly:)) : nil
    }
}
