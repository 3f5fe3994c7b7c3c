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

    private static let keywords: [(word: [UInt8], value: ServerExtensions)] = [
        (Array("pipelining".utf8), .pipelining), (Array("size".utf8), .size), (Array("8bitmime".utf8), .eightBitMIME),
        (Array("smtputf8".utf8), .smtpUTF8), (Array("chunking".utf8), .chunking),
    ]

    /// Every line after the first is `code ehlo-keyword *( SP ehlo-param )`.
    package init(ehlo reply: Reply) {
        self = []
        for line in reply.text.split(separator: ASCII.lf).dropFirst() {
            let keyword = line.dropFirst(4).prefix { !$0.isBlank }.lowercasedASCII()
            for (word, value) in Self.keywords where word == keyword { insert(value) }
        }
    }
}
