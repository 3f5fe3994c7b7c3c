private import Bytes

extension ConnectionRules.Rule {
    /// `allow` or `deny`, then any number of `,VAR=QvalueQ` with any byte as Q. Nil for anything else.
    init?(_ text: ArraySlice<UInt8>) {
        var rest = text
        if rest.starts(with: "allow".utf8) {
            self.init(isDenied: false, assignments: [])
            rest = rest.dropFirst(5)
        } else if rest.starts(with: "deny".utf8) {
            self.init(isDenied: true, assignments: [])
            rest = rest.dropFirst(4)
        } else {
            return nil
        }
        while let separator = rest.popFirst() {
            guard separator == ASCII.comma, let equals = rest.firstIndex(of: ASCII.equals) else { return nil }
            let name = rest[..<equals]
            rest = rest[(equals + 1)...]
            guard let delimiter = rest.popFirst(), let end = rest.firstIndex(of: delimiter) else { return nil }
            assignments.append(.init(name: Array(name), value: Array(rest[..<end])))
            rest = rest[(end + 1)...]
        }
    }
}

/// The keys that an address stands for: the first numeric range `a-b` in a dotted part is expanded, up to 255. Nil when what stands beside the `-` is no number.
func expandedKeys(_ address: ArraySlice<UInt8>) -> [[UInt8]]? {
    guard !address.contains(ASCII.equals), !address.contains(ASCII.at), let dash = address.firstIndex(of: ASCII.hyphen)
    else { return [Array(address)] }
    let left = address[..<dash].lastIndex(of: ASCII.dot).map { $0 + 1 } ?? address.startIndex
    let right = address[dash...].firstIndex(of: ASCII.dot) ?? address.endIndex
    guard let bottom = rangeEnd(address[left..<dash]), let top = rangeEnd(address[(dash + 1)..<right]), bottom <= min(top, 255)
    else { return rangeEnd(address[left..<dash]) == nil || rangeEnd(address[(dash + 1)..<right]) == nil ? nil : [] }
    return (bottom...min(top, 255)).map { address[..<left] + Array(String($0).utf8) + address[right...] }.map(Array.init)
}

/// A missing end is 0, as in tcprules.
private func rangeEnd(_ digits: ArraySlice<UInt8>) -> UInt64? { digits.isEmpty ? 0 : parseDecimal(digits) }
