private import Bytes

/// Parts header from body, line by line (spec-qmail §11.3).
package struct HeaderSplitter {
    /// The fields found so far; whole after ``finish()``.
    package private(set) var fields: [HeaderField] = []
    private var current: HeaderField?

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
        guard line.last == ASCII.lf else { return take(line + [ASCII.lf]) }
        if let first = line.first, first.isBlank, current != nil {
            current?.append(line)
            return .header
        }
        finish()
        if line.count == 1 { return .separator }
        // The line in front of a message in an mbox.
        let isMboxLine = line.starts(with: "From ".utf8)
        guard let field = HeaderField(isMboxLine ? Array("MBOX-Line: ".utf8) + line : Array(line)) else { return .body }
        current = field
        return .header
    }

    /// No more lines of the header come.
    package mutating func finish() {
        if let current { fields.append(current) }
        current = nil
    }
}
