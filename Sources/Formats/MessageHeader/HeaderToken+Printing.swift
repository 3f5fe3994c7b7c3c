private import Bytes

// How tokens are written back (spec-qmail §11.4, "Printing").
extension [HeaderToken] {
    /// RFC 5322 §2.1.1: no line longer than this, where an address list can be broken.
    private static var maxColumns: Int { 78 }

    /// `NAME: tokens` and LF. A line is broken after commas only; one that holds more than one address stays within 78 columns, its comma included.
    func printed(as name: ArraySlice<UInt8>) -> [UInt8] {
        var lines: [UInt8] = []
        var line = [UInt8](name) + [ASCII.colon]
        var previous = HeaderToken.colon
        var start = startIndex
        while start < endIndex {
            let end = self[start...].firstIndex(of: .comma).map { $0 + 1 } ?? endIndex
            let isFirst = start == startIndex
            let segment = self[start..<end].spaced(after: &previous)
            // Every segment after the first begins with the blank after a comma; a line that continues begins with two.
            if !isFirst, line.count + segment.count > Self.maxColumns {
                lines += line + [ASCII.lf]
                line = [ASCII.space] + segment
            } else {
                line += segment
            }
            start = end
        }
        return lines + line + [ASCII.lf]
    }

    /// As one address in the envelope: without quotes, escapes and comments (spec-qmail §11.4). What follows a NUL is dropped.
    var envelopeForm: [UInt8] {
        var result: [UInt8] = []
        for token in self {
            switch token {
            case .atom(let bytes), .quoted(let bytes): result += bytes
            case .literal(let bytes): result += [ASCII.leftBracket] + bytes + [ASCII.rightBracket]
            case .comment: break
            default: result += token.printed
            }
        }
        return [UInt8](result.prefix { $0 != ASCII.nul })
    }

    var printed: [UInt8] {
        var previous = HeaderToken.at
        return self[...].spaced(after: &previous)
    }
}

extension ArraySlice<HeaderToken> {
    /// A blank after `:` and `,`, before `<`, and between two words; `previous` is the token before.
    fileprivate func spaced(after previous: inout HeaderToken) -> [UInt8] {
        var result: [UInt8] = []
        for token in self {
            let needsBlank = previous == .colon || previous == .comma || (token == .left && previous != .at) || (previous.isWord && token.isWord)
            if needsBlank { result.append(ASCII.space) }
            result += token.printed
            previous = token
        }
        return result
    }
}

extension HeaderToken {
    fileprivate var printed: [UInt8] {
        switch self {
        case .atom(let bytes): HeaderToken.needsQuotes(bytes) ? HeaderToken.escaped(bytes, ASCII.quote, ASCII.quote) : bytes
        case .quoted(let bytes): HeaderToken.escaped(bytes, ASCII.quote, ASCII.quote)
        case .literal(let bytes): HeaderToken.escaped(bytes, ASCII.leftBracket, ASCII.rightBracket)
        case .comment(let bytes): HeaderToken.escaped(bytes, UInt8(ascii: "("), UInt8(ascii: ")"))
        case .dot: [ASCII.dot]
        case .comma: [ASCII.comma]
        case .at: [ASCII.at]
        case .left: [ASCII.less]
        case .right: [ASCII.greater]
        case .colon: [ASCII.colon]
        case .semicolon: [UInt8(ascii: ";")]
        }
    }

    private static func needsQuotes(_ atom: [UInt8]) -> Bool {
        atom.contains { $0 < ASCII.space || $0 > 0x7E || $0 == UInt8(ascii: ")") || $0 == ASCII.rightBracket || $0 == ASCII.backslash }
    }

    private static let escapedBytes = Array("\"[]()\\\r\n".utf8)

    private static func escaped(_ bytes: [UInt8], _ open: UInt8, _ close: UInt8) -> [UInt8] {
        var result = [open]
        for byte in bytes {
            if escapedBytes.contains(byte) { result.append(ASCII.backslash) }
            result.append(byte)
        }
        return result + [close]
    }
}
