private import Addresses
private import Bytes

/// How qmail-inject completes addresses (spec-qmail §11.4): `defaulthost`, `defaultdomain`, `plusdomain`.
package struct AddressRewriting: Sendable {
    /// What the tokens of the three names point into. The text of any list to be rewritten begins with it.
    let text: [UInt8]
    private let defaultHost: [HeaderToken]
    private let defaultDomain: [HeaderToken]
    private let plusDomain: [HeaderToken]

    package init(defaultHost: [UInt8], defaultDomain: [UInt8], plusDomain: [UInt8]) {
        var names = HeaderTokens()
        func tokens(_ host: [UInt8]) -> [HeaderToken] {
            let before = names.tokens.count
            names.append(host: host)
            return Array(names.tokens[before...])
        }
        self.defaultHost = tokens(defaultHost)
        self.defaultDomain = tokens(defaultDomain)
        self.plusDomain = tokens(plusDomain)
        text = names.text
    }

    /// Rewrites one address, tokens from left to right, of a list with `text`.
    func rewrite(_ address: inout [HeaderToken], _ text: [UInt8]) {
        guard let last = address.last, !(last.kind == .literal && last.text.isEmpty && address.dropLast().last?.kind == .at) else { return }
        if address.first?.kind == .at {
            guard let colon = address.firstIndex(where: { $0.kind == .colon }) else { return address.removeAll(keepingCapacity: true) }
            address.removeFirst(colon + 1)
        }
        if address.last?.kind == .dot { address.removeLast() }
        if address.last?.kind == .at { address.removeLast() }
        if !address.contains(where: { $0.kind == .at }) {
            address.append(HeaderToken(.at))
            address += defaultHost
        }
        if let last = address.last, last.endsWithPlus(text) {
            address.removeLast()
            address.append(HeaderToken(.atom, last.text.dropLast()))
            address.append(HeaderToken(.dot))
            address += plusDomain
        }
        if !AddressRewriting.isQualified(rightToLeft: address.reversed()) {
            address.append(HeaderToken(.dot))
            address += defaultDomain
        }
    }

    /// Whether the address is one that ``rewrite(_:_:)`` leaves as it is: nearly all are.
    func leaves(rightToLeft address: [HeaderToken], _ text: [UInt8]) -> Bool {
        switch address.first?.kind {
        case .atom, .quoted, .literal: break
        default: return false
        }
        guard address.first?.endsWithPlus(text) == false, address.last?.kind != .at, address.contains(where: { $0.kind == .at }) else { return false }
        return AddressRewriting.isQualified(rightToLeft: address)
    }

    /// Whether the host, what stands right of the last `@`, has a dot or is a literal.
    private static func isQualified(rightToLeft address: some Sequence<HeaderToken>) -> Bool {
        for token in address {
            switch token.kind {
            case .at: return false
            case .dot, .literal: return true
            default: continue
            }
        }
        // Without `@`, as after a route that leads nowhere, nothing lacks a domain.
        return true
    }

    /// An address given as raw bytes, on the command line: the local part quoted if it must be, then read and rewritten.
    /// - Returns: nil when it cannot be read.
    func rewrittenArgument(_ raw: [UInt8]) -> HeaderTokens? {
        let at = raw.lastIndex(of: ASCII.at) ?? raw.endIndex
        var address = HeaderTokens(sharing: text)
        if !raw.isEmpty { address.append(localPart: raw[..<at]) }
        guard address.append(parsing: raw[at...]) else { return nil }
        rewrite(&address.tokens, address.text)
        return address
    }
}

extension HeaderTokens {
    /// One token: a quoted string where spec-qmail appendix A wants quotes.
    mutating func append(localPart bytes: ArraySlice<UInt8>) { append(Address.needsQuoting(bytes) ? .quoted : .atom, Array(bytes)) }
}

extension HeaderToken {
    fileprivate func endsWithPlus(_ text: [UInt8]) -> Bool { kind == .atom && self.text.last.map { text[$0] } == ASCII.plus }
}
