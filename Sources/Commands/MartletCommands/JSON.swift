private import Bytes

/// RFC 8259, as much as is written here.
enum JSON {
    static func object(_ members: [(String, String)]) -> String { "{\(members.map { "\(quoted($0.0)):\($0.1)" }.joined(separator: ","))}" }

    static func quoted(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": "\\\(scalar)"
            case "\u{0}"..<" ": "\\u00\(scalar.value < 16 ? "0" : "")\(String(scalar.value, radix: 16))"
            default: String(scalar)
            }
        }
        return "\"\(escaped.joined())\""
    }

    /// Bytes as text; where they are no UTF-8, and the text has lost something, once more in hexadecimal, as `NAMEHex`.
    static func members(_ name: String, _ bytes: [UInt8]) -> [(String, String)] {
        let text = (name, quoted(bytes.text))
        guard String(validating: bytes, as: UTF8.self) == nil else { return [text] }
        let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return [text, (name + "Hex", quoted(digits.joined()))]
    }
}
