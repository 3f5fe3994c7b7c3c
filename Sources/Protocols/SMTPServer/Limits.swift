/// What a client may send, each with the error it meets beyond. A limit is the largest value that is still taken.
package struct Limits: Equatable, Sendable {
    /// Bytes of a command line, without its CRLF: 500 5.5.2. RFC 5321 §4.5.3.1.4 asks for 512 and what extensions add.
    package var commandLine = 4096
    /// Bytes of a line of AUTH: 500 5.5.6. RFC 4954 §4.
    package var loginLine = 12288
    /// Logins that fail before the connection is dropped: 421 4.7.0.
    package var failedLogins = 5
    /// Bytes of a line beyond ``commandLine`` that are read and dropped before the connection is: 421 4.7.0.
    package var skippedLine = 1 << 16
    /// Bytes of an address, unquoted: 555 5.5.4. qmail's number (spec-qmail §1.4). There is no limit of its own for the local part:
    /// RFC 5321's 64 is what must be taken at least, and the return paths of mailing lists (VERP) are longer.
    package var address = 899
    /// Bytes of an address's domain: 555 5.5.4. RFC 5321 §4.5.3.1.2.
    package var domain = 255
    /// Bytes of the HELO or EHLO name: 501 5.5.4. No domain is longer.
    package var heloName = 255
    /// Recipients of one message: 452 4.5.3. `control/maxrecipients`; RFC 5321 §4.5.3.1.8 asks for 100.
    package var recipients = 1000
    /// Bytes of a message's header: 552 5.3.4.
    package var headerBytes = 256 << 10
    /// Fields of a message's header: 552 5.3.4.
    package var headerFields = 1000
    /// Received and Delivered-To lines: 554 5.4.6 (spec-qmail §13.4).
    package var hops = 99
    /// Bytes of a message that are read and dropped after it has failed, before the connection is dropped too.
    package var discarded = 64 << 20
    /// Commands refused for good since the last message: 421 4.7.0.
    package var errors = 20
    /// Commands that do no work (NOOP, VRFY, RSET, greetings, tiny chunks) since the last message: 421 4.7.0.
    package var junkCommands = 100
    /// A chunk below this is junk when it is not the last.
    package var tinyChunk = 1024
    /// Input that waits for an answer of route or queue; while there is more, nothing is read.
    package var heldInput = 1 << 16

    package init() {}

    /// Only memory is bounded: qmail-smtpd counts nothing but hops, and the length of addresses, and leaves the rest to a softlimit.
    package static var classic: Limits {
        var limits = Limits()
        limits.commandLine = 1 << 16
        limits.skippedLine = .max
        limits.domain = .max
        limits.heloName = .max
        limits.recipients = 100_000
        limits.headerBytes = .max
        limits.headerFields = .max
        limits.discarded = .max
        limits.errors = .max
        limits.junkCommands = .max
        return limits
    }
}
