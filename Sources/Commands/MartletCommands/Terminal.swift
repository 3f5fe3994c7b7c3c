private import Bytes
private import Glibc

/// Where text goes that people look at.
enum Terminal {
    /// Whether standard output is a terminal: tables and colours are for people.
    static let isOutput = isatty(STDOUT_FILENO) == 1
    static let isError = isatty(STDERR_FILENO) == 1
    private static let hasColour = isOutput && getenv("NO_COLOR") == nil

    enum Style: String {
        case bold = "1"
        case faint = "2"
        case red = "31"
        case yellow = "33"
    }

    static func styled(_ text: String, _ style: Style) -> String { hasColour ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text }

    static func complain(_ text: String) { write(Array("\(isError ? "\r\u{1B}[K" : "")martlet: \(text)\n".utf8), to: STDERR_FILENO) }

    /// Overwrites itself, and is seen on a terminal only.
    static func progress(_ text: String) { if isError { write(Array("\r\u{1B}[K\(text)".utf8), to: STDERR_FILENO) } }

    static func write(_ bytes: [UInt8], to descriptor: Int32) {
        // In order with what print() has gathered.
        if descriptor == STDOUT_FILENO { fflush(nil) }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done) }
            guard count > 0 || errno == EINTR else { return }
            done += max(0, count)
        }
    }

    static func counted(_ count: some BinaryInteger, _ noun: String, plural: String? = nil) -> String {
        "\(count) \(count == 1 ? noun : plural ?? noun + "s")"
    }

    /// Text from outside: nothing in it moves the cursor, begins a line or turns the direction of what stands beside it.
    static func visible(_ bytes: some Collection<UInt8>) -> String { String(bytes.text.unicodeScalars.map { isSafe($0) ? Character($0) : "_" }) }

    private static func isSafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: false
        default: !scalar.properties.isBidiControl
        }
    }
}

extension String {
    func padded(to count: Int) -> String { self + String(repeating: " ", count: Swift.max(0, count - self.count)) }
}
