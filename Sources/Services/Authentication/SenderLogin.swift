package import Addresses
private import Bytes

/// `control/senderlogin`: who may send as somebody else. One rule a line, `SENDER ACCOUNT`:
///
///     info@example.org  joe@example.org
///     @lists.example.org  listmaster
///     *  backup@example.org
///     @example.org  *
///
/// A sender is an address, a domain with its `@`, or `*` for all; an account is as it logs in, or `*` for all. A lone `*` frees everybody.
package struct SenderLogin: Equatable, Sendable {
    private var rules: Set<[UInt8]> = []

    /// Nobody sends as somebody else.
    package init() {}

    /// - Throws: the line that is no rule.
    package init(_ lines: some Sequence<[UInt8]>) throws(BadLine) {
        for line in lines {
            let words = line.lowercasedASCII().split(whereSeparator: \.isBlank)
            guard words.count == 2 || words.elementsEqual([[ASCII.asterisk]], by: { $0.elementsEqual($1) }) else { throw BadLine(text: line) }
            rules.insert(Self.key(words[0], words.count == 2 ? words[1] : [ASCII.asterisk]))
        }
    }

    package struct BadLine: Error, Equatable { package let text: [UInt8] }

    package func permits(_ account: [UInt8], _ sender: Address) -> Bool {
        guard !rules.isEmpty else { return false }
        let bytes = sender.bytes.lowercasedASCII()
        let domain = bytes.lastIndex(of: ASCII.at).map { bytes[$0...] } ?? []
        let all: ArraySlice<UInt8> = [ASCII.asterisk]
        return [bytes[...], domain, all].contains { pattern in
            [account.lowercasedASCII()[...], all].contains { rules.contains(Self.key(pattern, $0)) }
        }
    }

    private static func key(_ sender: ArraySlice<UInt8>, _ account: ArraySlice<UInt8>) -> [UInt8] { sender + [ASCII.space] + account }
}
