private import Bytes

// How tokens are written back (spec-qmail §11.4, "Printing").
extension [HeaderToken] {
    /// RFC 5322 §2.1.1: no line longer than this, where an address list can be broken.
    private static var maxColumns: Int { 78 }

    /// `NAME: tokens` and LF. A line is broken after commas only; one that holds more than one address stays within 78 columns, its comma included.
    func printed(as name: ArraySlice<UInt8>) -> [UInt8] {
        var output = [UInt8](name) + [ASCII.colon]
        var previous = HeaderToken.colon.place
        var start = startIndex
        var lineStart = 0
        while start < endIndex {
            let end = self[start...].firstIndex(where: \.isComma).map { $0 + 1 } ?? endIndex
            let segmentStart = output.count
            self[start..<end].print(into: &output, after: &previous)
            // Every segment after the first begins with the blank after a comma; a line that continues begins with two.
            if start != startIndex, output.count - lineStart > Self.maxColumns {
                output.insert(contentsOf: [ASCII.lf, ASCII.space], at: segmentStart)
                lineStart = segmentStart + 1
            }
            start = end
        }
        output.append(ASCII.lf)
        return output
    }
}

extension Collection<HeaderToken> {
    var printed: [UInt8] {
        var result: [UInt8] = []
        var previous = HeaderToken.at.place
        print(into: &result, after: &previous)
        return result
    }

    /// As one address in the envelope: without quotes, escapes and comments (spec-qmail §11.4). What follows a NUL is dropped.
    var envelopeForm: [UInt8] {
        var result: [UInt8] = []
        for token in self {
            switch token {
            case .atom(let bytes), .quoted(let bytes): result.append(contentsOf: bytes)
            case .literal(let bytes):
                result.append(ASCII.leftBracket)
                result.append(contentsOf: bytes)
                result.append(ASCII.rightBracket)
            case .comment: break
            default: token.print(into: &result)
            }
        }
        if let end = result.firstIndex(of: ASCII.nul) { result.removeSubrange(end...) }
        return result
    }

    /// A blank after `:` and `,`, before `<`, and between two words; `previous` is the token before.
    fileprivate func print(into output: inout [UInt8], after previous: inout HeaderToken.Place) {
        for token in self {
            if token.needsBlank(after: previous) { output.append(ASCII.space) }
            token.print(into: &output)
            previous = token.place
        }
    }
}

extension HeaderToken {
    fileprivate var isComma: Bool { if case .comma = self { true } else { false } }

    /// What matters for blanks.
    fileprivate enum Place { case separator, at, left, word, other }

    fileprivate var place: Place {
        switch self {
        case .colon, .comma: .separator
        case .at: .at
        case .left: .left
        case .atom, .quoted, .literal, .comment: .word
        case .dot, .right, .semicolon: .other
        }
    }

    fileprivate func needsBlank(after previous: Place) -> Bool {
        switch (previous, place) {
        case (.separator, _): true
        case (.at, .left): false
        case (_, .left), (.word, .word): true
        default: false
        }
    }

    fileprivate func print(into output: inout [UInt8]) {
        switch self {
        case .atom(let bytes):
            if HeaderToken.needsQuotes(bytes) { return HeaderToken.print(bytes, ASCII.quote, ASCII.quote, into: &output) }
            output.append(contentsOf: bytes)
        case .quoted(let bytes): HeaderToken.print(bytes, ASCII.quote, ASCII.quote, into: &output)
        case .literal(let bytes): HeaderToken.print(bytes, ASCII.leftBracket, ASCII.rightBracket, into: &output)
        case .comment(let bytes): HeaderToken.print(bytes, UInt8(ascii: "("), UInt8(ascii: ")"), into: &output)
        case .dot: output.append(ASCII.dot)
        case .comma: output.append(ASCII.comma)
        case .at: output.append(ASCII.at)
        case .left: output.append(ASCII.less)
        case .right: output.append(ASCII.greater)
        case .colon: output.append(ASCII.colon)
        case .semicolon: output.append(UInt8(ascii: ";"))
        }
    }

    private static func needsQuotes(_ atom: [UInt8]) -> Bool {
        atom.contains { $0 < ASCII.space || $0 > 0x7E || $0 == UInt8(ascii: ")") || $0 == ASCII.rightBracket || $0 == ASCII.backslash }
    }

    private static func print(_ bytes: [UInt8], _ open: UInt8, _ close: UInt8, into output: inout [UInt8]) {
        output.append(open)
        for byte in bytes {
            if needsEscape(byte) { output.append(ASCII.backslash) }
            output.append(byte)
        }
        output.append(close)
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        switch byte {
        case ASCII.quote, ASCII.leftBracket, ASCII.rightBracket, UInt8(ascii: "("), UInt8(ascii: ")"), ASCII.backslash, ASCII.cr, ASCII.lf: true
        default: false
        }
    }
}
