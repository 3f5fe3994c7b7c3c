internal import Addresses
private import Bytes

/// `control/senderlogin`: which accounts may send with addresses that are not theirs. Lines `account:sender`; `*` stands for every account or every
/// sender, `@host` for every sender at a host.
struct SenderLogins {
    /// By account.
    private var senders: [[UInt8]: Set<[UInt8]>] = [:]
    private static let all: [UInt8] = [UInt8(ascii: "*")]

    /// - Throws: the line that is none of these.
    init(_ lines: [[UInt8]]) throws(BadLine) {
        for line in lines {
            guard let colon = line.firstIndex(of: ASCII.colon), colon > 0, colon + 1 < line.count else { throw BadLine(text: line) }
            senders[line[..<colon].lowercasedASCII(), default: []].insert(line[(colon + 1)...].lowercasedASCII())
        }
    }

    struct BadLine: Error { let text: [UInt8] }

    func allows(_ account: [UInt8], _ sender: Address) -> Bool {
        let address = sender.bytes.lowercasedASCII()
        let host = address.lastIndex(of: ASCII.at).map { Array(address[$0...]) }
        return [account.lowercasedASCII(), Self.all].contains { key in
            guard let allowed = senders[key] else { return false }
            return allowed.contains(address) || allowed.contains(Self.all) || host.map(allowed.contains) ?? false
        }
    }
}
