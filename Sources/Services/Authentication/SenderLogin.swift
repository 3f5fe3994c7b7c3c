package import Addresses
private import Bytes

/// `control/senderlogin`: who may send as somebody else, `ACCOUNT:SENDER` a line.
///
///     joe@example.org:info@example.org
///     listmaster:@lists.example.org
///     backup@example.org:*
///     *:@example.org
///
/// An account is as it logs in, or `*` for all; a sender is an address, a host with its `@`, or `*` for all.
package struct SenderLogin: Equatable, Sendable {
    /// By account.
    private var senders: [[UInt8]: Set<[UInt8]>] = [:]

    private static let all: [UInt8] = [ASCII.asterisk]

    /// Nobody sends as somebody else.
    package init() {}

    /// - Throws: the line that is no rule.
    package init(_ lines: some Sequence<[UInt8]>) throws(BadLine) {
        for line in lines {
            guard let colon = line.firstIndex(of: ASCII.colon), colon > 0, colon + 1 < line.count else { throw BadLine(text: line) }
            senders[line[..<colon].lowercasedASCII(), default: []].insert(line[(colon + 1)...].lowercasedASCII())
        }
    }

    package struct BadLine: Error, Equatable { package let text: [UInt8] }

    package func permits(_ account: [UInt8], _ sender: Address) -> Bool {
        let address = sender.bytes.lowercasedASCII()
        let host = address.lastIndex(of: ASCII.at).map { Array(address[$0...]) } ?? Self.all
        return [account.lowercasedASCII(), Self.all].contains { key in
            senders[key].map { $0.contains(address) || $0.contains(host) || $0.contains(Self.all) } ?? false
        }
    }
}
