private import Bytes

/// A command line as qmail's servers read it (spec-qmail §13.2): the verb up to the first space, in lower case; the argument is the rest without leading
/// spaces. All else of the argument counts, trailing blanks too: they may belong to a password.
struct Command {
    let verb: String
    let argument: ArraySlice<UInt8>

    init(_ line: ArraySlice<UInt8>) {
        let end = line.firstIndex(of: ASCII.space) ?? line.endIndex
        verb = line[..<end].lowercasedASCII().text
        argument = line[end...].drop { $0 == ASCII.space }
    }
}

/// Cuts input into command lines. A line ends at LF; one CR before it is dropped.
struct CommandLines {
    enum Line: Equatable {
        case line(ArraySlice<UInt8>)
        case tooLong
    }

    /// Bytes of a line without its end. RFC 2449 §4 asks for 255; what does not fit a checkpassword program is of no use in any case.
    static let maxBytes = 1024
    /// The same of an answer to a challenge (RFC 5034 §4).
    static let maxResponseBytes = 12288
    /// Input that waits, for the end of a message or an answer; while there is more, nothing is read.
    static let maxHeld = 1 << 16

    private var buffer: [UInt8] = []
    private var start = 0

    /// What is not taken yet.
    var count: Int { buffer.count - start }

    mutating func append(_ bytes: some Collection<UInt8>) {
        buffer.removeFirst(start)
        start = 0
        buffer.append(contentsOf: bytes)
    }

    /// Nil when more is needed.
    mutating func next(_ maxBytes: Int = Self.maxBytes) -> Line? {
        let window = buffer[start...].prefix(maxBytes + 2)
        guard let end = window.firstIndex(of: ASCII.lf) else { return window.count > maxBytes + 1 ? .tooLong : nil }
        var line = window[..<end]
        start = end + 1
        if line.last == ASCII.cr { line.removeLast() }
        return line.count > maxBytes ? .tooLong : .line(line)
    }

    mutating func takeAll() -> [UInt8] {
        defer { self = CommandLines() }
        return Array(buffer[start...])
    }
}
