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
}
