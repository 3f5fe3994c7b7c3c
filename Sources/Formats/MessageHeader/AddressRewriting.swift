private import Addresses
private import Bytes

/// How qmail-inject completes addresses (spec-qmail §11.4): `defaulthost`, `defaultdomain`, `plusdomain`.
package struct AddressRewriting: Sendable {
    private let defaultHost: [HeaderToken]
    private let defaultDomain: [HeaderToken]
    private let plusDomain: [HeaderToken]

    package init(defaultHost: [UInt8], defaultDomain: [UInt8], plusDomain: [UInt8]) {
        self.defaultHost = AddressRewriting.hostTokens(defaultHost)
        self.defaultDomain = AddressRewriting.hostTokens(defaultDomain)
        self.plusDomain = AddressRewriting.hostTokens(plusDomain)
    }

    /// A host that is no list of tokens is taken as one word.
    static func hostTokens(_ host: [UInt8]) -> [HeaderToken] { HeaderTokenizer.tokens(host[...]) ?? [.atom(host)] }

    /// One address, tokens from left to right.
    func rewritten(_ address: [HeaderToken]) -> [HeaderToken] {
        guard !address.isEmpty, !address.suffix(2).elementsEqual([.at, .literal([])]) else { return address }
        var result = address
        if result.first == .at {
            guard let colon = result.firstIndex(of: .colon) else { return [] }
            result.removeFirst(colon + 1)
        }
        if result.last == .dot { result.removeLast() }
        if result.last == .at { result.removeLast() }
        if !result.contains(where: \.isAt) { result += [.at] + defaultHost }
        if case .atom(let last)? = result.last, last.last == ASCII.plus {
            result.removeLast()
            result += [.atom(last.dropLast()), .dot] + plusDomain
        }
        if AddressRewriting.isUnqualified(result) { result += [.dot] + defaultDomain }
        return result
    }

    /// Whether the address is one that ``rewritten(_:)`` leaves as it is: nearly all are, and need no copy.
    func leaves(rightToLeft address: [HeaderToken]) -> Bool {
        switch address.first {
        case .atom(let last): if last.last == ASCII.plus { return false }
        case .quoted, .literal: break
        default: return false
        }
        var isQualified = false
        for token in address {
            switch token {
            case .at: return isQualified && address.last?.isAt == false
            case .dot, .literal: isQualified = true
            default: continue
            }
        }
        return false
    }

    private static func isUnqualified(_ address: [HeaderToken]) -> Bool {
        for token in address.reversed() {
            switch token {
            case .at: return true
            case .dot, .literal: return false
            default: continue
            }
        }
        return false
    }

    /// An address given as raw bytes, on the command line: the local part quoted if it must be, then read and rewritten.
    /// - Returns: nil when it cannot be read.
    func rewrittenArgument(_ raw: [UInt8]) -> [HeaderToken]? {
        let at = raw.lastIndex(of: ASCII.at) ?? raw.endIndex
        guard let domain = HeaderTokenizer.tokens(raw[at...]) else { return nil }
        return raw.isEmpty ? [] : rewritten([AddressRewriting.localPart(raw[..<at])] + domain)
    }

    /// One token: a quoted string where spec-qmail appendix A wants quotes.
    static func localPart(_ bytes: ArraySlice<UInt8>) -> HeaderToken {
        Address.needsQuoting(bytes) ? .quoted(Array(bytes)) : .atom(Array(bytes))
    }
}
