private import Bytes
private import WireContent

/// The message of a package: its first byte says how the lines of the rest end, LF or CR LF (spec-qmail §15.1).
struct QMTPContent: Sendable {
    private enum LineEnds: Sendable {
        case lf
        case crlf(ContentDecoder)
    }

    private var lineEnds: LineEnds?
    /// Decoded so far.
    private(set) var bytes: UInt64 = 0

    var isBegun: Bool { lineEnds != nil }

    /// - Returns: false when the first byte says neither.
    mutating func begin(_ first: UInt8) -> Bool {
        switch first {
        case ASCII.lf: lineEnds = .lf
        case ASCII.cr: lineEnds = .crlf(ContentDecoder(hasDots: false))
        default: return false
        }
        return true
    }

    /// A piece with LF line ends.
    mutating func decode(_ piece: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var decoded = piece
        if case .crlf(var decoder) = lineEnds {
            decoded = piece.withUnsafeBytes { decoder.decode($0).content }[...]
            lineEnds = .crlf(decoder)
        }
        bytes += UInt64(decoded.count)
        return decoded
    }

    /// No more will come.
    mutating func finish() -> ArraySlice<UInt8> {
        guard case .crlf(var decoder) = lineEnds else { return [] }
        let last = decoder.finish()
        bytes += UInt64(last.count)
        return last[...]
    }
}
