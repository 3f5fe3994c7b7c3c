/// SASLprep (RFC 4013) but for normalisation: other spaces become a space, what is mapped to nothing goes, controls and bytes that are no UTF-8 are refused.
/// NFKC is left out, as the tables for it would be larger than all of this module: a string that is in NFKC, as keyboards give them, comes out as RFC 4013 has it,
/// and any other the same on every side that is ours.
enum PreparedString {
    static func prepare(_ bytes: [UInt8]) -> [UInt8]? {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var output: [UInt8] = []
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0xAD, 0x34F, 0x1806, 0x180B...0x180D, 0x200B...0x200D, 0x2060, 0xFE00...0xFE0F, 0xFEFF: continue
            case 0xA0, 0x1680, 0x2000...0x200A, 0x202F, 0x205F, 0x3000: output.append(0x20)
            case 0...0x1F, 0x7F...0x9F, 0x2028...0x202E, 0xE000...0xF8FF, 0xFFF9...0xFFFF: return nil
            default: output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            }
        }
        return output
    }
}
