private import Bytes

/// Looks for a line in a message's header that is byte for byte our `Delivered-To` line: then the message has been here before (spec-qmail §7.2).
///
/// The header ends at the first empty line; lines that are no header fields count as any others; a last line without LF is not compared.
package struct LoopCheck {
    package enum Finding: Equatable, Sendable {
        case looping
        /// The header is over, without the line.
        case clear
        /// Not known yet; the end of the message would make it clear.
        case needsMore
    }

    private let wanted: [UInt8]
    private var length = 0
    private var matches = true

    /// - Parameter line: with its LF.
    package init(_ line: [UInt8]) { wanted = line.dropLast() }

    package mutating func scan(_ bytes: some Sequence<UInt8>) -> Finding {
        for byte in bytes {
            guard byte == ASCII.lf else {
                matches = matches && length < wanted.count && wanted[length] == byte
                length += 1
                continue
            }
            if length == 0 { return .clear }
            if matches, length == wanted.count { return .looping }
            length = 0
            matches = true
        }
        return .needsMore
    }
}
