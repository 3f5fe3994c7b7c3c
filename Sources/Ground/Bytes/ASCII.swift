/// The octets that mail protocols name.
package enum ASCII {
    package static let nul: UInt8 = 0x00
    package static let tab: UInt8 = 0x09
    package static let lf: UInt8 = 0x0A
    package static let cr: UInt8 = 0x0D
    package static let space: UInt8 = 0x20
    package static let quote: UInt8 = 0x22
    package static let hash: UInt8 = 0x23
    package static let percent: UInt8 = 0x25
    package static let ampersand: UInt8 = 0x26
    package static let plus: UInt8 = 0x2B
    package static let comma: UInt8 = 0x2C
    package static let hyphen: UInt8 = 0x2D
    package static let dot: UInt8 = 0x2E
    package static let slash: UInt8 = 0x2F
    package static let zero: UInt8 = 0x30
    package static let nine: UInt8 = 0x39
    package static let colon: UInt8 = 0x3A
    package static let less: UInt8 = 0x3C
    package static let equals: UInt8 = 0x3D
    package static let greater: UInt8 = 0x3E
    package static let question: UInt8 = 0x3F
    package static let at: UInt8 = 0x40
    package static let leftBracket: UInt8 = 0x5B
    package static let backslash: UInt8 = 0x5C
    package static let rightBracket: UInt8 = 0x5D
    package static let underscore: UInt8 = 0x5F
}

extension UInt8 {
    package var isDigit: Bool { self >= ASCII.zero && self <= ASCII.nine }
    package var isLetter: Bool { (self | 0x20) >= 0x61 && (self | 0x20) <= 0x7A }
    /// 0x21…0x7E: visible, not blank.
    package var isGraphic: Bool { self > 0x20 && self < 0x7F }
    package var isBlank: Bool { self == ASCII.space || self == ASCII.tab }
    package var isControl: Bool { self < 0x20 || self == 0x7F }
    package var lowercased: UInt8 { self >= 0x41 && self <= 0x5A ? self | 0x20 : self }
}

extension Collection where Element == UInt8 {
    /// A–Z folded to a–z, every other byte kept: how qmail compares domains and control file keys.
    package func lowercasedASCII() -> [UInt8] { map(\.lowercased) }

    package func equalsIgnoringCase(_ other: some Collection<UInt8>) -> Bool {
        count == other.count && zip(self, other).allSatisfy { $0.lowercased == $1.lowercased }
    }

    /// `prefix` must be given in lower case.
    package func hasPrefixIgnoringCase(_ prefix: StaticString) -> Bool {
        prefix.withUTF8Buffer { wanted in
            count >= wanted.count && zip(self, wanted).allSatisfy { $0.lowercased == $1 }
        }
    }

    /// For messages and logs only: bytes that are no UTF-8 become U+FFFD. Never parse the result.
    package var text: String { String(decoding: self, as: UTF8.self) }
}

extension BidirectionalCollection where Element == UInt8, SubSequence == ArraySlice<UInt8> {
    /// Without the spaces and tabs at the end.
    package func trimmingTrailingBlanks() -> ArraySlice<UInt8> {
        var end = endIndex
        while end > startIndex, self[index(before: end)].isBlank { end = index(before: end) }
        return self[startIndex..<end]
    }
}
