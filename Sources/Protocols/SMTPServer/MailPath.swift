private import Bytes

/// The argument of MAIL or RCPT in the strict profile: RFC 5321 §4.1.2.
///
///     ("FROM:" / "TO:") [SP] path *(SP esmtp-param)
///
/// Two liberties that honest clients take are left to them: blanks after the colon, and a path without its angle brackets.
struct MailPath: Equatable {
    /// Unquoted, without source route (RFC 5321 appendix C).
    let address: [UInt8]
    /// `keyword` or `keyword=value`, in the order given; keywords in upper case.
    let parameters: [Parameter]

    struct Parameter: Equatable {
        let keyword: [UInt8]
        let value: ArraySlice<UInt8>?
    }

    /// - Parameter prefix: `from:` or `to:`.
    init?(_ argument: ArraySlice<UInt8>, after prefix: StaticString) {
        guard argument.hasPrefixIgnoringCase(prefix) else { return nil }
        var rest = argument.dropFirst(prefix.utf8CodeUnitCount).drop { $0 == ASCII.space }
        let isBracketed = rest.first == ASCII.less
        if isBracketed { rest.removeFirst() }
        if rest.first == ASCII.at {
            guard let colon = rest.firstIndex(of: ASCII.colon) else { return nil }
            rest = rest[(colon + 1)...]
        }
        let (address, isComplete) = unquoted(&rest, until: isBracketed ? ASCII.greater : ASCII.space)
        guard isComplete, !address.contains(where: \.isControl) else { return nil }
        if isBracketed {
            guard rest.popFirst() == ASCII.greater else { return nil }
        } else {
            guard !address.isEmpty, !address.contains(ASCII.less), !address.contains(ASCII.greater) else { return nil }
        }
        guard rest.isEmpty || rest.first == ASCII.space, let parameters = MailPath.parameters(rest) else { return nil }
        self.address = address
        self.parameters = parameters
    }

    /// `esmtp-param = esmtp-keyword ["=" esmtp-value]`. Nil when one breaks the grammar or comes twice.
    private static func parameters(_ text: ArraySlice<UInt8>) -> [Parameter]? {
        var result: [Parameter] = []
        for part in text.split(separator: ASCII.space) {
            let keyword = part.prefix { $0 != ASCII.equals }
            guard let first = keyword.first, first.isLetter || first.isDigit,
                keyword.allSatisfy({ $0.isLetter || $0.isDigit || $0 == ASCII.hyphen }),
                !result.contains(where: { $0.keyword.equalsIgnoringCase(keyword) })
            else { return nil }
            let value = keyword.endIndex < part.endIndex ? part[(keyword.endIndex + 1)...] : nil
            if let value { guard !value.isEmpty, value.allSatisfy({ $0 > ASCII.space && $0 != ASCII.equals && $0 != 0x7F }) else { return nil } }
            result.append(Parameter(keyword: keyword.map { $0.isLetter ? $0 & 0xDF : $0 }, value: value))
        }
        return result
    }
}

/// What the parameters of MAIL say.
struct MailParameters: Equatable {
    /// RFC 6531 §3.4.
    var isUTF8 = false
    /// RFC 1870 §6; numbers beyond 64 bits are the largest.
    var size: UInt64?

    /// Nil for a parameter that was not offered, or a value that it cannot have.
    init?(_ parameters: [MailPath.Parameter], for profile: Profile) {
        for parameter in parameters {
            switch parameter.keyword.text {
            case "SMTPUTF8" where profile.has(.smtpUTF8):
                guard parameter.value == nil else { return nil }
                isUTF8 = true
            case "BODY" where profile.has(.eightBitMIME):
                // RFC 6152 §3. Content is kept as it is whatever is declared.
                guard let value = parameter.value, value.equalsIgnoringCase("7BIT".utf8) || value.equalsIgnoringCase("8BITMIME".utf8) else {
                    return nil
                }
            case "SIZE" where profile.has(.size):
                guard let value = parameter.value, value.count <= 20, value.allSatisfy(\.isDigit) else { return nil }
                size = parseDecimal(value, maxDigits: 20) ?? .max
            default: return nil
            }
        }
    }
}

/// RFC 3629 §4: no surrogates, nothing overlong, nothing beyond U+10FFFF.
func isUTF8(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while let first = rest.popFirst() {
        let count: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch first {
        case 0...0x7F: continue
        case 0xC2...0xDF: count = 1
        case 0xE0: (count, second) = (2, 0xA0...0xBF)
        case 0xED: (count, second) = (2, 0x80...0x9F)
        case 0xE1...0xEF: count = 2
        case 0xF0: (count, second) = (3, 0x90...0xBF)
        case 0xF1...0xF3: count = 3
        case 0xF4: (count, second) = (3, 0x80...0x8F)
        default: return false
        }
        guard rest.count >= count, let next = rest.popFirst(), second.contains(next) else { return false }
        for _ in 1..<count { guard let more = rest.popFirst(), 0x80...0xBF ~= more else { return false } }
    }
    return true
}
