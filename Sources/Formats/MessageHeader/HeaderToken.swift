private import Bytes

/// A lexical token of an address field: RFC 822 §3.3 as qmail reads it (spec-qmail §11.4).
struct HeaderToken {
    enum Kind {
        case atom
        case quoted
        /// `[…]`
        case literal
        /// `(…)`; parentheses within are dropped.
        case comment
        case dot
        case comma
        case at
        case left
        case right
        case colon
        case semicolon
    }

    let kind: Kind
    /// Where its bytes stand in ``HeaderTokens/text``: without quotes, brackets, parentheses and escapes. Empty for a special character.
    private let start: UInt32
    private let end: UInt32

    /// - Parameter text: below ``HeaderTokens/maxTextBytes``.
    init(_ kind: Kind, _ text: Range<Int> = 0..<0) {
        self.kind = kind
        start = UInt32(clamping: text.lowerBound)
        end = UInt32(clamping: text.upperBound)
    }

    var text: Range<Int> { Int(start)..<Int(end) }
}

/// Tokens with what they say. All text lies in one buffer, and a token is a place in it: a header of 1 MiB may hold a million of them.
struct HeaderTokens {
    /// Twelve bytes a token, whose text ends below 4 GiB.
    static let maxTextBytes = Int(UInt32.max)

    private(set) var text: [UInt8]
    var tokens: [HeaderToken] = []

    /// - Parameter text: what tokens that are made elsewhere, and may come to these, point into.
    init(sharing text: [UInt8] = []) { self.text = text }

    /// Keeps the text that is shared, its first `count` bytes, and the room for more.
    mutating func removeAll(keepingText count: Int) {
        text.removeSubrange(count...)
        tokens.removeAll(keepingCapacity: true)
    }

    mutating func append(_ kind: HeaderToken.Kind, _ bytes: [UInt8] = []) {
        text += bytes
        tokens.append(HeaderToken(kind, (text.count - bytes.count)..<text.count))
    }

    /// - Returns: false for a string, literal or comment without end, and for `)` or `]` where a token begins; the tokens before it are there.
    mutating func append(parsing value: ArraySlice<UInt8>) -> Bool {
        guard text.count + value.count < Self.maxTextBytes else { return false }
        text.reserveCapacity(text.count + value.count)
        // About what `user@example.org, ` needs.
        tokens.reserveCapacity(tokens.count + value.count / 4)
        var reader = Reader(value)
        while let byte = reader.next() {
            guard byte.isSpace || take(byte, &reader) else { return false }
        }
        return true
    }

    /// A host that is no list of tokens is taken as one word.
    mutating func append(host: [UInt8]) {
        let before = tokens.count
        guard !append(parsing: host[...]) else { return }
        tokens.removeSubrange(before...)
        append(.atom, host)
    }

    /// `"PHRASE" <what is there>`
    mutating func bracket(after phrase: [UInt8]) {
        let address = tokens
        tokens = []
        append(.quoted, phrase)
        append(.left)
        tokens += address
        append(.right)
    }

    /// The token that begins with `byte`.
    private mutating func take(_ byte: UInt8, _ reader: inout Reader) -> Bool {
        if let special = byte.special {
            tokens.append(HeaderToken(special))
            return true
        }
        let start = text.count
        let kind: HeaderToken.Kind
        switch byte {
        case ASCII.quote:
            guard takeText(&reader, until: ASCII.quote) else { return false }
            kind = .quoted
        case ASCII.leftBracket:
            guard takeText(&reader, until: ASCII.rightBracket) else { return false }
            kind = .literal
        case UInt8(ascii: "("):
            guard takeComment(&reader) else { return false }
            kind = .comment
        case UInt8(ascii: ")"), ASCII.rightBracket: return false
        default:
            takeAtom(byte, &reader)
            kind = .atom
        }
        tokens.append(HeaderToken(kind, start..<text.count))
        return true
    }

    /// A backslash takes the next byte as it is.
    private mutating func takeAtom(_ first: UInt8, _ reader: inout Reader) {
        if first != ASCII.backslash { text.append(first) } else if let escaped = reader.next() { text.append(escaped) }
        while let byte = reader.peek, !byte.endsAtom {
            reader.skip()
            if byte != ASCII.backslash { text.append(byte) } else if let escaped = reader.next() { text.append(escaped) }
        }
    }

    private mutating func takeText(_ reader: inout Reader, until end: UInt8) -> Bool {
        while let byte = reader.next() {
            if byte == end { return true }
            if byte != ASCII.backslash { text.append(byte) } else if let escaped = reader.next() { text.append(escaped) }
        }
        return false
    }

    private mutating func takeComment(_ reader: inout Reader) -> Bool {
        var depth = 1
        while let byte = reader.next() {
            switch byte {
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"):
                depth -= 1
                if depth == 0 { return true }
            case ASCII.backslash: if let escaped = reader.next() { text.append(escaped) }
            default: text.append(byte)
            }
        }
        return false
    }

    private struct Reader {
        private let bytes: ArraySlice<UInt8>
        private var position: Int

        init(_ bytes: ArraySlice<UInt8>) {
            self.bytes = bytes
            position = bytes.startIndex
        }

        var peek: UInt8? { position < bytes.endIndex ? bytes[position] : nil }

        mutating func skip() { position += 1 }

        mutating func next() -> UInt8? {
            guard let byte = peek else { return nil }
            skip()
            return byte
        }
    }
}

extension UInt8 {
    fileprivate var isSpace: Bool { isBlank || self == ASCII.cr || self == ASCII.lf }

    fileprivate var special: HeaderToken.Kind? {
        switch self {
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

    fileprivate var endsAtom: Bool { isSpace || special != nil || self == ASCII.leftBracket || self == ASCII.quote || self == UInt8(ascii: "(") }
}
