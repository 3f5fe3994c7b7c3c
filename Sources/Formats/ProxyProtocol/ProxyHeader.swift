package import Addresses
private import Bytes

/// What a proxy says in front of a connection that it passes on (HAProxy's proxy-protocol.txt, versions 1 and 2).
///
/// Module `ProxyProtocol` must not know whom to believe. What holds: nothing is read beyond ``maxBytes``, and a header counts only once it is whole.
package enum ProxyHeader: Equatable, Sendable {
    /// The proxy speaks for itself, or does not know for whom: the connection's own addresses count.
    case local
    /// - server: the address that the client connected to.
    case proxied(client: IPAddress, server: IPAddress)

    package enum Reading: Equatable, Sendable {
        case incomplete
        /// - length: bytes of the header; what follows is the client's.
        case header(ProxyHeader, length: Int)
        case malformed
    }

    /// Of a header of either version. Version 2 announces its length in 16 bits; what proxies append to the addresses is far below this.
    package static let maxBytes = 4096

    /// - Parameter input: all that came so far.
    package static func read(_ input: [UInt8]) -> Reading {
        if input.starts(with: binarySignature) { return binary(input) }
        if input.starts(with: textSignature) { return text(input) }
        return binarySignature.starts(with: input) || textSignature.starts(with: input) ? .incomplete : .malformed
    }
}

/// Version 1: a line.
extension ProxyHeader {
    private static let textSignature = Array("PROXY ".utf8)
    /// §2.1: 107 with CRLF.
    private static let maxLine = 107

    ///     "PROXY" SP ("TCP4" / "TCP6") SP source SP destination SP port SP port CRLF
    ///     "PROXY" SP "UNKNOWN" anything CRLF
    private static func text(_ input: [UInt8]) -> Reading {
        guard let lf = input.prefix(maxLine).firstIndex(of: ASCII.lf) else { return input.count < maxLine ? .incomplete : .malformed }
        guard input[lf - 1] == ASCII.cr else { return .malformed }
        let words = input[textSignature.count..<lf - 1].split(separator: ASCII.space, omittingEmptySubsequences: false)
        if words.first?.elementsEqual("UNKNOWN".utf8) == true { return .header(.local, length: lf + 1) }
        guard words.count == 5, isPort(words[3]), isPort(words[4]) else { return .malformed }
        let size: Int
        switch words[0].text {
        case "TCP4": size = 4
        case "TCP6": size = 16
        default: return .malformed
        }
        guard let client = address(words[1], size: size), let server = address(words[2], size: size) else { return .malformed }
        return .header(.proxied(client: client, server: server), length: lf + 1)
    }

    private static func address(_ text: ArraySlice<UInt8>, size: Int) -> IPAddress? {
        guard text.first != ASCII.leftBracket, let address = IPLiteral.parse(text), address.bytes.count == size else { return nil }
        return IPAddress(unmapped: address.bytes)
    }

    private static func isPort(_ text: ArraySlice<UInt8>) -> Bool { parseDecimal(text, maxDigits: 5).map { $0 <= 65535 } ?? false }
}

/// Version 2: 16 bytes, then addresses and extensions.
extension ProxyHeader {
    private static let binarySignature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    private static let fixedBytes = 16

    private static func binary(_ input: [UInt8]) -> Reading {
        guard input.count >= fixedBytes else { return input.count > 12 && input[12] >> 4 != 2 ? .malformed : .incomplete }
        let (version, command) = (input[12] >> 4, input[12] & 15)
        let (family, transport) = (input[13] >> 4, input[13] & 15)
        let length = fixedBytes + (Int(input[14]) << 8 | Int(input[15]))
        guard version == 2, command <= 1, family <= 3, transport <= 2, length <= maxBytes else { return .malformed }
        guard input.count >= length else { return .incomplete }
        let content = input[fixedBytes..<length]
        // §2.2: LOCAL, and what is neither TCP over IPv4 nor over IPv6, says nothing that could be used.
        let size: Int
        switch (command, family, transport) {
        case (1, 1, 1): size = 4
        case (1, 2, 1): size = 16
        case (1, 1...3, 2): return .malformed
        default: return .header(.local, length: length)
        }
        // Two addresses and two ports.
        guard content.count >= 2 * size + 4, let client = IPAddress(unmapped: content.prefix(size)),
            let server = IPAddress(unmapped: content.dropFirst(size).prefix(size))
        else { return .malformed }
        return .header(.proxied(client: client, server: server), length: length)
    }
}
