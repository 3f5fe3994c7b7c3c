private import Bytes

/// A lexical token of an address field: RFC 822 §3.3 as qmail reads it (spec-qmail §11.4). Quotes, brackets, parentheses and escapes are removed.
package enum HeaderToken: Equatable, Sendable {
    case atom([UInt8])
    case quoted([UInt8])
    /// `[…]`
    case literal([UInt8])
    /// `(…)`; parentheses within are dropped.
    case comment([UInt8])
    case dot
    case comma
    case at
    case left
    case right
    case colon
    case semicolon

    var isAt: Bool { if case .at = self { true } else { false } }
}

/// Cuts the value of a field into tokens.
struct HeaderTokenizer {
    private var rest: ArraySlice<UInt8>

    /// - Returns: nil for a string, literal or comment without end, and for `)` or `]` where a token begins.
    static func tokens(_ value: ArraySlice<UInt8>) -> [HeaderToken]? {
        var tokenizer = HeaderTokenizer(rest: value)
        var result: [HeaderToken] = []
        // About what `user@example.org, ` needs.
        result.reserveCapacity(value.count / 4)
        while let byte = tokenizer.rest.first {
            if HeaderTokenizer.isSpace(byte) {
                tokenizer.rest.removeFirst()
            } else if let token = tokenizer.next(byte) {
                result.append(token)
            } else {
                return nil
            }
        }
        return result
    }

    private mutating func next(_ byte: UInt8) -> HeaderToken? {
        if let special = HeaderTokenizer.special(byte) {
            rest.removeFirst()
            return special
        }
        switch byte {
        case ASCII.quote: return delimited(by: ASCII.quote).map(HeaderToken.quoted)
        case ASCII.leftBracket: return delimited(by: ASCII.rightBracket).map(HeaderToken.literal)
        case UInt8(ascii: "("): return comment()
        case UInt8(ascii: ")"), ASCII.rightBracket: return nil
        default: return .atom(atom())
        }
    }

    private static func special(_ byte: UInt8) -> HeaderToken? {
        switch byte {
        case ASCII.dot: .dot
        case ASCII.comma: .comma
        case ASCII.at: .at
        case ASCII.less: .left
        case ASCII.greater: .right
        case ASCII.colon: .colon
        case UInt8(ascii: ";"): .semicolon
        default: nil
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte.isBlank || byte == ASCII.cr || byte == ASCII.lf }

    /// A backslash takes the next byte as it is.
    private mutating func atom() -> [UInt8] {
        let end = rest.firstIndex { HeaderTokenizer.endsAtom($0) || $0 == ASCII.backslash } ?? rest.endIndex
        var result = Array(rest[..<end])
        rest = rest[end...]
        while let byte = rest.first, !HeaderTokenizer.endsAtom(byte) {
            rest.removeFirst()
            if byte != ASCII.backslash { result.append(byte) } else if let escaped = rest.popFirst() { result.append(escaped) }
        }
        return result
    }

    private static func endsAtom(_ byte: UInt8) -> Bool {
        switch byte {
        case ASCII.space, ASCII.tab, ASCII.cr, ASCII.lf, ASCII.dot, ASCII.comma, ASCII.at, ASCII.less, ASCII.greater, ASCII.colon, ASCII.leftBracket,
            ASCII.quote, UInt8(ascii: ";"), UInt8(ascii: "("):
            true
        default: false
        }
    }

    /// What stands between the byte at hand and `end`.
    private mutating func delimited(by end: UInt8) -> [UInt8]? {
        rest.removeFirst()
        var result: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == end { return result }
            if byte != ASCII.backslash {
                result.append(byte)
            } else if let escaped = rest.popFirst() {
                result.append(escaped)
            }
        }
        return nil
    }

    private mutating func comment() -> HeaderToken? {
        var depth = 0
        var result: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"):
                depth -= 1
                if depth == 0 { return .comment(result) }
            case ASCII.backslash:
                if let escaped = rest.popFirst() { result.append(escaped) }
            default: result.append(byte)
            }
        }
        return nil
    }
}
