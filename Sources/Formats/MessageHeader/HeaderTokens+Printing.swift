private import Bytes

// How tokens are written back (spec-qmail §11.4, "Printing").
extension HeaderTokens {
    /// RFC 5322 §2.1.1: no line longer than this, where an address list can be broken.
    private static var maxColumns: Int { 78 }

    /// `NAME: tokens` and LF. A line is broken after commas only; one that holds more than one address stays within 78 columns, its comma included.
    func print(as name: ArraySlice<UInt8>, into output: inout [UInt8]) {
        var lineStart = output.count
        output += name
        output.append(ASCII.colon)
        var previous = HeaderToken.Kind.colon
        var start = tokens.startIndex
        while start < tokens.endIndex {
            let end = tokens[start...].firstIndex { $0.kind == .comma }.map { $0 + 1 } ?? tokens.endIndex
            let segmentStart = output.count
            print(start..<end, into: &output, after: &previous)
            // Every segment after the first begins with the blank after a comma; a line that continues begins with two.
            if start != tokens.startIndex, output.count - lineStart > Self.maxColumns {
                output.insert(contentsOf: [ASCII.lf, ASCII.space], at: segmentStart)
                lineStart = segmentStart + 1
            }
            start = end
        }
        output.append(ASCII.lf)
    }

    func printed(_ range: Range<Int>) -> [UInt8] {
        var result: [UInt8] = []
        var previous = HeaderToken.Kind.at
        print(range, into: &result, after: &previous)
        return result
    }

    /// All of it as one address.
    var envelopeForm: [UInt8] { envelopeForm(tokens.indices) }

    /// As one address in the envelope: without quotes, escapes and comments (spec-qmail §11.4). What follows a NUL is dropped.
    func envelopeForm(_ range: Range<Int>) -> [UInt8] {
        var result: [UInt8] = []
        for token in tokens[range] {
            switch token.kind {
            case .atom, .quoted: result += text[token.text]
            case .literal:
                result.append(ASCII.leftBracket)
                result += text[token.text]
                result.append(ASCII.rightBracket)
            case .comment: break
            default: print(token, into: &result)
            }
        }
        if let end = result.firstIndex(of: ASCII.nul) { result.removeSubrange(end...) }
        return result
    }

    /// A blank after `:` and `,`, before `<`, and between two words; `previous` is the token before.
    private func print(_ range: Range<Int>, into output: inout [UInt8], after previous: inout HeaderToken.Kind) {
        for token in tokens[range] {
            if token.kind.needsBlank(after: previous) { output.append(ASCII.space) }
            print(token, into: &output)
            previous = token.kind
        }
    }

    private func print(_ token: HeaderToken, into output: inout [UInt8]) {
        let bytes = text[token.text]
        switch token.kind {
        case .atom: if bytes.contains(where: \.needsQuotes) { print(bytes, ASCII.quote, ASCII.quote, into: &output) } else { output += bytes }
        case .quoted: print(bytes, ASCII.quote, ASCII.quote, into: &output)
        case .literal: print(bytes, ASCII.leftBracket, ASCII.rightBracket, into: &output)
        case .comment: print(bytes, UInt8(ascii: "("), UInt8(ascii: ")"), into: &output)
        case .dot: output.append(ASCII.dot)
        case .comma: output.append(ASCII.comma)
        case .at: output.append(ASCII.at)
        case .left: output.append(ASCII.less)
        case .right: output.append(ASCII.greater)
        case .colon: output.append(ASCII.colon)
        case .semicolon: output.append(UInt8(ascii: ";"))
        }
    }

    private func print(_ bytes: ArraySlice<UInt8>, _ open: UInt8, _ close: UInt8, into output: inout [UInt8]) {
        output.append(open)
        for byte in bytes {
            if byte.needsEscape { output.append(ASCII.backslash) }
            output.append(byte)
        }
        output.append(close)
    }
}

extension HeaderToken.Kind {
    fileprivate func needsBlank(after previous: HeaderToken.Kind) -> Bool {
        switch previous {
        case .colon, .comma: true
        case .at: false
        default: self == .left || isWord && previous.isWord
        }
    }

    private var isWord: Bool {
        switch self {
        case .atom, .quoted, .literal, .comment: true
        default: false
        }
    }
}

extension UInt8 {
    /// In an atom.
    fileprivate var needsQuotes: Bool {
        self < ASCII.space || self > 0x7E || self == UInt8(ascii: ")") || self == ASCII.rightBracket || self == ASCII.backslash
    }

    fileprivate var needsEscape: Bool {
        switch self {
        case ASCII.quote, ASCII.leftBracket, ASCII.rightBracket, UInt8(ascii: "("), UInt8(ascii: ")"), ASCII.backslash, ASCII.cr, ASCII.lf: true
        default: false
        }
    }
}
