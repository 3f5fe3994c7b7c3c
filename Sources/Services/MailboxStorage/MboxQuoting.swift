private import Bytes

/// A message as it stands in an mbox: `>` in front of every line `>*From `, a line end at its end, then an empty line (spec-qmail §7.6).
///
/// The `>` is put behind those that are there, which gives the same line, so that at most the bytes of `From ` wait for a decision.
package struct MboxQuoting {
    private enum Place {
        /// At the start of a line or behind its `>`s, with so many bytes of `From ` matched.
        case start(matched: Int)
        case inside
    }

    private static let separator = Array("From ".utf8)
    private var place = Place.start(matched: 0)
    private var endsInLF = true

    package init() {}

    package mutating func quote(_ bytes: some Collection<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + 16)
        for byte in bytes {
            endsInLF = byte == ASCII.lf
            guard case .start(let matched) = place else {
                output.append(byte)
                if byte == ASCII.lf { place = .start(matched: 0) }
                continue
            }
            if byte == Self.separator[matched] {
                guard matched == Self.separator.count - 1 else {
                    place = .start(matched: matched + 1)
                    continue
                }
                output.append(ASCII.greater)
                output.append(contentsOf: Self.separator)
                place = .inside
            } else {
                output.append(contentsOf: Self.separator[..<matched])
                output.append(byte)
                place = byte == ASCII.lf || (byte == ASCII.greater && matched == 0) ? .start(matched: 0) : .inside
            }
        }
        return output
    }

    /// What is left at the end of the message.
    package mutating func finish() -> [UInt8] {
        var output: [UInt8] = []
        if case .start(let matched) = place { output.append(contentsOf: Self.separator[..<matched]) }
        if !endsInLF { output.append(ASCII.lf) }
        output.append(ASCII.lf)
        return output
    }
}
