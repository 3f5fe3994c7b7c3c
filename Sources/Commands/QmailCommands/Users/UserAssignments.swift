private import Bytes
private import CDB

/// `users/assign` made into the constant database that routing reads (spec-qmail §6.3).
package enum UserAssignments {
    /// A file that breaks the format.
    package struct BadFormat: Error {}

    private static let fields = 6

    package static func compiled(_ text: [UInt8]) throws(BadFormat) -> [UInt8] {
        var writer = ConstantDatabaseWriter()
        // Final bytes of wildcard prefixes in order of appearance: which lengths a look-up must try.
        var wildcardEnds: [UInt8] = []
        var left = text[...]
        while true {
            guard let end = left.firstIndex(of: ASCII.lf) else {
                // The line that ends the file may lack its LF.
                guard left.first == ASCII.dot else { throw BadFormat() }
                break
            }
            let line = left[..<end]
            left = left[(end + 1)...]
            if line.first == ASCII.dot { break }
            let (key, value, isWildcard) = try entry(line)
            if isWildcard, let last = key.last, !wildcardEnds.contains(last) { wildcardEnds.append(last) }
            let name = [UInt8(ascii: "!")] + key.lowercasedASCII()
            writer.add(key: isWildcard ? name : name + [ASCII.nul], value: value)
        }
        writer.add(key: [], value: wildcardEnds)
        return writer.finish()
    }

    /// One line: what is matched, and USER NUL UID NUL GID NUL HOME NUL DASH NUL EXT.
    private static func entry(_ line: ArraySlice<UInt8>) throws(BadFormat) -> (key: ArraySlice<UInt8>, value: [UInt8], isWildcard: Bool) {
        let parts = line.split(separator: ASCII.colon, omittingEmptySubsequences: false)
        guard !line.contains(ASCII.nul), let first = parts.first, let sign = first.first, parts.count > fields + 1 else { throw BadFormat() }
        return (first.dropFirst(), Array(parts[1...fields].joined(separator: [ASCII.nul])), sign == ASCII.plus)
    }
}
