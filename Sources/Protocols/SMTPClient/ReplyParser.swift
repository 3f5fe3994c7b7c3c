private import Bytes

/// Cuts what a server sends into replies: bytes in, replies out.
package struct ReplyParser {
    /// hardening.md "LEN"; a server beyond them is no mail server.
    package struct Limits: Sendable {
        /// Bytes of one line, line end included.
        package var line = 4096
        /// Bytes of a reply's text that are kept for reports (spec-qmail §1.4).
        package var kept = 5000
        /// Bytes of one reply, however many lines.
        package var reply = 64 * 1024
        /// Codes that a reply may have.
        package var codes: ClosedRange<UInt64> = 200...599
        package init() {}

        /// qmail-remote has none; these bound memory.
        package static var classic: Limits {
            var limits = Limits()
            limits.line = 1 << 16
            limits.reply = 1 << 20
            limits.codes = 0...999
            return limits
        }
    }

    /// No reply as RFC 5321 §4.2 has it: the connection cannot be used further.
    package struct Malformed: Error, Equatable {}

    private let limits: Limits
    private var buffer: [UInt8] = []
    private var position = 0
    private var code: Int?
    private var text: [UInt8] = []
    private var replyLength = 0

    package init(limits: Limits = Limits()) { self.limits = limits }

    /// Nothing of a reply has come that ``next()`` has not given out.
    package var isEmpty: Bool { position == buffer.count && code == nil }

    package mutating func append(_ bytes: some Collection<UInt8>) {
        if position > 0 {
            buffer.removeFirst(position)
            position = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next whole reply, nil when more bytes are needed.
    package mutating func next() throws(Malformed) -> Reply? {
        while let line = try nextLine() {
            let isLast = try take(line)
            if isLast, let code {
                defer { reset() }
                return Reply(code: code, text: text)
            }
        }
        return nil
    }

    private mutating func reset() {
        code = nil
        text = []
        replyLength = 0
    }

    /// A line ends with LF; a CR before it is dropped later with every other.
    private mutating func nextLine() throws(Malformed) -> ArraySlice<UInt8>? {
        let rest = buffer[position...]
        guard let end = rest.firstIndex(of: ASCII.lf) else {
            if rest.count >= limits.line { throw Malformed() }
            return nil
        }
        guard end - position < limits.line else { throw Malformed() }
        replyLength += end + 1 - position
        guard replyLength <= limits.reply else { throw Malformed() }
        defer { position = end + 1 }
        return buffer[position..<end]
    }

    /// `Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF`. The first line's code counts, as in qmail.
    /// - Returns: whether this was the last line.
    private mutating func take(_ line: ArraySlice<UInt8>) throws(Malformed) -> Bool {
        guard let number = parseDecimal(line.prefix(3)), line.count >= 3, limits.codes.contains(number) else { throw Malformed() }
        if code == nil { code = Int(number) }
        keep(line)
        return line.dropFirst(3).first != ASCII.hyphen
    }

    /// The last byte kept is always LF, so that reports stay lines.
    private mutating func keep(_ line: ArraySlice<UInt8>) {
        let room = limits.kept - text.count
        guard room > 1 else { return }
        for byte in line.lazy.filter({ $0 != ASCII.cr }).prefix(room - 1) {
            text.append(byte.isControl && byte != ASCII.tab ? ASCII.question : byte)
        }
        text.append(ASCII.lf)
    }
}
