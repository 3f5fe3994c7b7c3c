private import Bytes

/// The lines of `control/badmailfrom` and its like:
///
///     user@host    this address
///     @host        every address of the host
///     spam*@?.x    every text that matches; `*` is any text, `?` one byte
///     !LINE        not what the line after the mark matches, whatever the other lines say
///
/// Case is ignored.
package struct AddressPatterns: Sendable {
    private let listed: Matcher
    private let excepted: Matcher

    package init(_ lines: [[UInt8]]) {
        listed = Matcher(lines.filter { $0.first != Self.exceptionMark })
        excepted = Matcher(lines.filter { $0.first == Self.exceptionMark }.map { Array($0.dropFirst()) })
    }

    private static let exceptionMark = UInt8(ascii: "!")

    package func match(_ text: [UInt8]) -> Bool {
        guard !listed.isEmpty else { return false }
        let folded = text.lowercasedASCII()
        return listed.match(folded) && !excepted.match(folded)
    }

    private struct Matcher: Sendable {
        private let literals: Set<[UInt8]>
        private let wildcards: [[UInt8]]

        init(_ lines: [[UInt8]]) {
            let folded = lines.map { $0.lowercasedASCII() }
            literals = Set(folded.filter { !Self.hasWildcard($0) })
            wildcards = folded.filter(Self.hasWildcard)
        }

        var isEmpty: Bool { literals.isEmpty && wildcards.isEmpty }

        func match(_ text: [UInt8]) -> Bool {
            if literals.contains(text) { return true }
            if let at = text.lastIndex(of: ASCII.at), literals.contains(Array(text[at...])) { return true }
            return wildcards.contains { Self.matches($0, text) }
        }

        private static let star = UInt8(ascii: "*")

        private static func hasWildcard(_ line: [UInt8]) -> Bool { line.contains(star) || line.contains(ASCII.question) }

        /// Goes back to the last star only, so that no pattern costs more than the product of the two lengths.
        private static func matches(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
            var position = 0
            var next = 0
            var retry: (next: Int, position: Int)?
            while position < text.count {
                if next < pattern.count, pattern[next] == star {
                    next += 1
                    retry = (next, position)
                } else if next < pattern.count, pattern[next] == ASCII.question || pattern[next] == text[position] {
                    next += 1
                    position += 1
                } else if let last = retry {
                    next = last.next
                    position = last.position + 1
                    retry = (last.next, position)
                } else {
                    return false
                }
            }
            return pattern[next...].allSatisfy { $0 == star }
        }
    }
}
