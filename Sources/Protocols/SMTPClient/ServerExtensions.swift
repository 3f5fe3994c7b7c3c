private import Bytes

/// What a server offers in its answer to EHLO (RFC 5321 §4.1.1.1), as far as this client uses it.
package struct ServerExtensions: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// RFC 2920.
    package static let pipelining = ServerExtensions(rawValue: 1)
    /// RFC 1870.
    package static let size = ServerExtensions(rawValue: 2)
    /// RFC 6152.
    package static let eightBitMIME = ServerExtensions(rawValue: 4)
    /// RFC 6531.
    package static let smtpUTF8 = ServerExtensions(rawValue: 8)
    /// RFC 3030.
    package static let chunking = ServerExtensions(rawValue: 16)
    /// RFC 3207.
    package static let startTLS = ServerExtensions(rawValue: 32)

    private static let keywords: [(word: [UInt8], value: ServerExtensions)] = [
        (Array("pipelining".utf8), .pipelining), (Array("size".utf8), .size), (Array("8bitmime".utf8), .eightBitMIME),
        (Array("smtputf8".utf8), .smtpUTF8), (Array("chunking".utf8), .chunking), (Array("starttls".utf8), .startTLS),
    ]

    package init(ehlo reply: Reply) {
        self = []
        for words in Self.lines(reply) {
            let keyword = words.first?.lowercasedASCII()
            for (word, value) in Self.keywords where word == keyword { insert(value) }
        }
    }

    /// The names behind `AUTH` (RFC 4954 §3).
    package static func mechanisms(ehlo reply: Reply) -> [[UInt8]] {
        lines(reply).filter { $0.first?.equalsIgnoringCase("auth".utf8) == true }.flatMap { $0.dropFirst().map(Array.init) }
    }

    /// Every line after the first is `code ehlo-keyword *( SP ehlo-param )`.
    private static func lines(_ reply: Reply) -> [[ArraySlice<UInt8>]] {
        reply.text.split(separator: ASCII.lf).dropFirst().map { $0.dropFirst(4).split(whereSeparator: \.isBlank) }
    }
}
