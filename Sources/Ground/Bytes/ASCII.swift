/// The octets that mail protocols name. Inlined into other modules, as a stored constant would not be: they stand in every inner loop.
@usableFromInline package enum ASCII {
    @inlinable package static var nul: UInt8 { 0x00 }
    @inlinable package static var tab: UInt8 { 0x09 }
    @inlinable package static var lf: UInt8 { 0x0A }
    @inlinable package static var cr: UInt8 { 0x0D }
    @inlinable package static var space: UInt8 { 0x20 }
    @inlinable package static var quote: UInt8 { 0x22 }
    @inlinable package static var hash: UInt8 { 0x23 }
    @inlinable package static var percent: UInt8 { 0x25 }
    @inlinable package static var ampersand: UInt8 { 0x26 }
    @inlinable package static var asterisk: UInt8 { 0x2A }
    @inlinable package static var plus: UInt8 { 0x2B }
    @inlinable package static var comma: UInt8 { 0x2C }
    @inlinable package static var hyphen: UInt8 { 0x2D }
    @inlinable package static var dot: UInt8 { 0x2E }
    @inlinable package static var slash: UInt8 { 0x2F }
    @inlinable package static var zero: UInt8 { 0x30 }
    @inlinable package static var nine: UInt8 { 0x39 }
    @inlinable package static var colon: UInt8 { 0x3A }
    @inlinable package static var less: UInt8 { 0x3C }
    @inlinable package static var equals: UInt8 { 0x3D }
    @inlinable package static var greater: UInt8 { 0x3E }
    @inlinable package static var question: UInt8 { 0x3F }
    @inlinable package static var at: UInt8 { 0x40 }
    @inlinable package static var leftBracket: UInt8 { 0x5B }
    @inlinable package static var backslash: UInt8 { 0x5C }
    @inlinable package static var rightBracket: UInt8 { 0x5D }
    @inlinable package static var underscore: UInt8 { 0x5F }
}

extension UInt8 {
    @inlinable package var isDigit: Bool { self >= ASCII.zero && self <= ASCII.nine }
    @inlinable package var isLetter: Bool { (self | 0x20) >= 0x61 && (self | 0x20) <= 0x7A }
    /// 0x21…0x7E: visible, not blank.
    @inlinable package var isGraphic: Bool { self > 0x20 && self < 0x7F }
    @inlinable package var isBlank: Bool { self == ASCII.space || self == ASCII.tab }
    @inlinable package var isControl: Bool { self < 0x20 || self == 0x7F }
    @inlinable package var lowercased: UInt8 { self >= 0x41 && self <= 0x5A ? self | 0x20 : self }
}

extension Collection where Element == UInt8 {
    /// A–Z folded to a–z, every other byte kept: how qmail compares domains and control file keys.
    @inlinable package func lowercasedASCII() -> [UInt8] { map(\.lowercased) }

    @inlinable package func equalsIgnoringCase(_ other: some Collection<UInt8>) -> Bool {
        count == other.count && zip(self, other).allSatisfy { $0.lowercased == $1.lowercased }
    }

    /// `prefix` must be given in lower case.
    @inlinable package func hasPrefixIgnoringCase(_ prefix: StaticString) -> Bool {
        prefix.withUTF8Buffer { wanted in
            count >= wanted.count && zip(self, wanted).allSatisfy { $0.lowercased == $1 }
        }
    }

    /// For messages and logs only: bytes that are no UTF-8 become U+FFFD. Never parse the result.
    package var text: String { String(decoding: self, as: UTF8.self) }
}

extension BidirectionalCollection where Element == UInt8, SubSequence == ArraySlice<UInt8> {
    /// Without the spaces and tabs at the end.
    @inlinable package func trimmingTrailingBlanks() -> ArraySlice<UInt8> {
        var end = endIndex
        while end > startIndex, self[index(before: end)].isBlank { end = index(before: end) }
        return self[startIndex..<end]
    }
}
