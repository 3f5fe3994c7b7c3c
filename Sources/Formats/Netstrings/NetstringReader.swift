private import Bytes

/// Reads netstrings, `5:hello,`, as they come, in pieces cut anywhere and without keeping them; one inside another is read by a reader that is given
/// the content of the outer.
///
/// Module `Netstrings` is the frame of QMTP and QMQP. It must not know what is framed.
package struct NetstringReader: Sendable {
    package enum Part: Equatable, Sendable {
        /// The length was read: so much content follows.
        case began(length: UInt64)
        /// Some of the content; never empty.
        case content(ArraySlice<UInt8>)
        /// The comma: content and netstring are whole.
        case ended
    }

    package enum Failure: Error, Equatable {
        /// No digit where the length must be, or no comma behind the content.
        case malformed
        /// More than ``maxLength``. qmail takes that for a want of resources, not for an error of the client (spec-qmail §15.1).
        case tooLong
    }

    /// qmail refuses what is beyond about 2·10^9 bytes (spec-qmail §1.4).
    package static let maxLength: UInt64 = 2_000_000_000

    private enum State: Sendable {
        /// The number so far; nil before the first digit.
        case length(UInt64?)
        case content(left: UInt64)
    }

    private var state = State.length(nil)

    package init() {}

    /// Whether nothing of the next one has come yet.
    package var isBetween: Bool {
        if case .length(nil) = state { return true }
        return false
    }

    /// The next part, whose bytes are taken off `input`; nil when more is needed.
    package mutating func next(_ input: inout ArraySlice<UInt8>) throws(Failure) -> Part? {
        switch state {
        case .length(let number): return try readLength(number, &input)
        case .content(left: 0):
            guard let byte = input.popFirst() else { return nil }
            guard byte == ASCII.comma else { throw .malformed }
            state = .length(nil)
            return .ended
        case .content(let left):
            guard !input.isEmpty else { return nil }
            let piece = input.prefix(Int(clamping: left))
            input = input[piece.endIndex...]
            state = .content(left: left - UInt64(piece.count))
            return .content(piece)
        }
    }

    /// Leading zeros are taken, as qmail takes them.
    private mutating func readLength(_ start: UInt64?, _ input: inout ArraySlice<UInt8>) throws(Failure) -> Part? {
        var number = start
        while let byte = input.popFirst() {
            if byte == ASCII.colon, let number {
                state = .content(left: number)
                return .began(length: number)
            }
            guard byte.isDigit else { throw .malformed }
            // Far below an overflow, since it was checked at the digit before.
            let grown = (number ?? 0) * 10 + UInt64(byte - ASCII.zero)
            guard grown <= Self.maxLength else { throw .tooLong }
            number = grown
        }
        state = .length(number)
        return nil
    }
}

extension [UInt8] {
    package mutating func append(netstring content: some Collection<UInt8>) {
        append(contentsOf: String(content.count).utf8)
        append(ASCII.colon)
        append(contentsOf: content)
        append(ASCII.comma)
    }
}
