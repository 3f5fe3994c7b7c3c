private import Bytes

/// Turns a message on the wire into what the queue keeps: CRLF becomes LF and, in DATA, the dots are unstuffed and CRLF.CRLF is the end (RFC 5321 §4.5.2).
/// Nothing else ends a message, whatever some servers take for a line end.
///
/// Module `WireContent` holds what a message is on the wire and how it comes from there and goes there. It must not know commands or replies.
package struct ContentDecoder: Sendable {
    private enum State: Sendable {
        case lineStart
        case text
        case afterCR
        /// A dot at the start of a line, not handed on yet.
        case dot
        case dotCR
        case ended
    }

    /// What a message must not hold.
    package struct Strays: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let bareCR = Strays(rawValue: 1)
        package static let bareLF = Strays(rawValue: 2)
        package static let nul = Strays(rawValue: 4)
    }

    package private(set) var strays: Strays = []
    private var state = State.lineStart
    private let hasDots: Bool

    /// - Parameter hasDots: true for DATA; false for the chunks of BDAT and for QMTP, which are counted and have no end of their own.
    package init(hasDots: Bool) { self.hasDots = hasDots }

    package var isAtEnd: Bool {
        if case .ended = state { return true }
        return false
    }

    /// Decodes up to the end of the message or of `input`.
    /// - Returns: the content, and how many bytes of `input` it was.
    package mutating func decode(_ input: UnsafeRawBufferPointer) -> (content: [UInt8], consumed: Int) {
        var consumed = 0
        // A byte is written for each that is read, but for a dot and a CR that were held back at the end of the last input.
        let content = [UInt8](unsafeUninitializedCapacity: input.count + 2) { output, count in
            consumed = decode(input, output, &count)
        }
        return (content, consumed)
    }

    /// No more will come: a CR that waits for its LF is bare. RFC 3030 allows a last line without line end.
    package mutating func finish() -> [UInt8] {
        guard case .afterCR = state else { return [] }
        state = .text
        strays.insert(.bareCR)
        return [ASCII.cr]
    }

    private mutating func decode(_ input: UnsafeRawBufferPointer, _ output: UnsafeMutableBufferPointer<UInt8>, _ count: inout Int) -> Int {
        func put(_ byte: UInt8) {
            output[count] = byte
            count += 1
        }
        var position = 0
        while position < input.count {
            let byte = input[position]
            switch state {
            case .lineStart where hasDots && byte == ASCII.dot:
                state = .dot
                position += 1
            case .lineStart, .text:
                position = copyText(input, from: position, output, &count)
            case .dot where byte == ASCII.cr:
                state = .dotCR
                position += 1
            case .dot:
                state = .text
            case .dotCR where byte == ASCII.lf:
                state = .ended
                return position + 1
            case .dotCR:
                strays.insert(.bareCR)
                put(ASCII.dot)
                put(ASCII.cr)
                state = .text
            case .afterCR where byte == ASCII.lf:
                put(ASCII.lf)
                state = .lineStart
                position += 1
            case .afterCR:
                strays.insert(.bareCR)
                put(ASCII.cr)
                state = .text
            case .ended: return position
            }
        }
        return position
    }

    /// Copies the rest of a line, and any whole lines after it that begin without a dot. Returns where another state takes over.
    private mutating func copyText(
        _ input: UnsafeRawBufferPointer, from start: Int, _ output: UnsafeMutableBufferPointer<UInt8>, _ count: inout Int
    ) -> Int {
        state = .text
        var position = start
        while true {
            let end = firstControl(input, from: position)
            copy(input, position..<end, output, &count)
            guard end < input.count else { return end }
            position = end + 1
            let byte = input[end]
            if byte == ASCII.cr {
                guard position < input.count, input[position] == ASCII.lf else {
                    state = .afterCR
                    return position
                }
                output[count] = ASCII.lf
                count += 1
                position += 1
                if hasDots {
                    state = .lineStart
                    guard position < input.count, input[position] != ASCII.dot else { return position }
                    state = .text
                }
                continue
            }
            if byte == ASCII.lf { strays.insert(.bareLF) }
            if byte == ASCII.nul { strays.insert(.nul) }
            output[count] = byte
            count += 1
        }
    }

    private func copy(_ input: UnsafeRawBufferPointer, _ range: Range<Int>, _ output: UnsafeMutableBufferPointer<UInt8>, _ count: inout Int) {
        guard !range.isEmpty else { return }
        UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(output)[count...]).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: input[range]))
        count += range.count
    }
}

/// The first byte below 0x0E, which CR, LF and NUL are, at or after `start`; eight at a time.
private func firstControl(_ input: UnsafeRawBufferPointer, from start: Int) -> Int {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let highs: UInt64 = 0x8080_8080_8080_8080
    var position = start
    while position + 8 <= input.count {
        let word = UInt64(littleEndian: input.loadUnaligned(fromByteOffset: position, as: UInt64.self))
        // A byte's high bit is set where the byte is below 14. The lowest that is set is exact; those above it need not be.
        let found = (word &- ones &* 14) & ~word & highs
        if found != 0 { return position + found.trailingZeroBitCount / 8 }
        position += 8
    }
    while position < input.count, input[position] >= 14 { position += 1 }
    return position
}
