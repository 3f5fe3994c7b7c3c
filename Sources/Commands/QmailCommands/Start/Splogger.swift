private import Bytes
private import Glibc

/// splogger (qmail §10.2): lines of descriptor 0 to syslog.
enum Splogger {
    static let synopsis = "[ tag [ facility ] ]"
    /// Longer lines go in pieces.
    private static let pieceBytes = 799
    /// Read at a time of a line without end.
    private static let lineBytes = 1 << 16
    private static let mail: UInt64 = 2
    private static let maxFacility: UInt64 = 23

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        let tag = call.arguments.first ?? Array("splogger".utf8)
        let number = call.arguments.dropFirst().first.flatMap { parseLeadingDecimal($0) } ?? mail
        // syslog keeps the pointer.
        let name = strdup(tag.text)
        openlog(name, 0, Int32(min(number, maxFacility)) << 3)
        var input = Input(0)
        var line = LogLine()
        while let bytes = next(&input) { line.take(bytes) }
        return ExitCode.ok
    }

    private static func next(_ input: inout Input) -> ArraySlice<UInt8>? {
        do throws(Input.Failure) { return try input.line(limit: lineBytes) } catch { return nil }
    }

    /// A line on its way: its stamp and level are those of its beginning.
    private struct LogLine {
        private var stamp = ""
        private var level = LOG_INFO
        private var isContinued = false

        mutating func take(_ bytes: ArraySlice<UInt8>) {
            let endsLine = bytes.last == ASCII.lf
            var left = endsLine ? bytes.dropLast() : bytes
            while !left.isEmpty {
                send(left.prefix(pieceBytes))
                left = left.dropFirst(pieceBytes)
                isContinued = true
            }
            if endsLine { isContinued = false }
        }

        private mutating func send(_ piece: ArraySlice<UInt8>) {
            if !isContinued {
                stamp = now()
                level = Splogger.level(piece)
            }
            let text = piece.map { $0 >= ASCII.space && $0 < 0x7F ? $0 : ASCII.question }
            // The text is an argument: what looks like a conversion in it is none.
            "\(stamp)\(isContinued ? "+" : " ")\(text.text)".withCString { text in withVaList([text]) { vsyslog(level, "%s", $0) } }
        }
    }

    /// qmail-send's lines say it in their first word.
    private static func level(_ line: ArraySlice<UInt8>) -> Int32 {
        if line.starts(with: "alert:".utf8) { return LOG_ALERT }
        return line.starts(with: "warning:".utf8) ? LOG_WARNING : LOG_INFO
    }

    private static func now() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return "\(time.tv_sec).\(String(1_000_000 + time.tv_nsec / 1000).dropFirst())"
    }
}
