private import Bytes

/// Parts header from body, line by line (spec-qmail §11.3).
package struct HeaderSplitter {
    /// The fields found so far; whole after ``finish()``.
    package private(set) var fields: [HeaderField] = []
    private var current: [UInt8] = []

    package init() {}

    package enum Verdict: Equatable, Sendable {
        case header
        /// The line is the empty one that ends the header: the body is this line and all that follows.
        case separator
        /// The line is no field: the body is an empty line, this line and all that follows.
        case body
    }

    /// - Parameter line: with its LF; an LF is added when the last line of a message lacks it.
    package mutating func take(_ line: ArraySlice<UInt8>) -> Verdict {
        var line = Array(line)
        if line.last != ASCII.lf { line.append(ASCII.lf) }
        if !current.isEmpty, let first = line.first, first.isBlank {
            current += line
            return .header
        }
        finish()
        if line == [ASCII.lf] { return .separator }
        // The line in front of a message in an mbox.
        if line.starts(with: "From ".utf8) { line = Array("MBOX-Line: ".utf8) + line }
        guard HeaderField(line) != nil else { return .body }
        current = line
        return .header
    }

    /// No more lines of the header come.
    package mutating func finish() {
        if let field = HeaderField(current) { fields.append(field) }
        current = []
    }
}
