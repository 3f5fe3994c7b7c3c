private import Bytes

/// Turns stored content (LF line ends, any bytes) into what SMTP and POP3 carry: every line ends in CR LF, and no CR or LF leaves in any other place
/// (hardening.md "SMG-out").
///
/// - LF, and CR LF, go out as CR LF; a CR that is not before LF goes out as a space, or as a line end where the profile is qmail's, so no
///   receiver can see a line end where another sees none.
/// - Dots are doubled by the state of the *output* line, never of the input's.
/// - A last line without LF is completed.
///
/// Content comes in pieces cut anywhere; the output does not depend on the cuts. NUL is not looked for here: who may not send it refuses it first.
package struct MessageEncoder {
    package enum Form: Sendable {
        /// For DATA and POP3: leading dots doubled, the final dot added (RFC 5321 §4.5.2).
        case data
        /// For BDAT: lines only (RFC 3030 §2).
        case chunk
    }

    package enum StrayCR: Sendable {
        case space
        /// As notqmail's qmail-remote does (spec-qmail §14.2), but with the dot that begins the new line doubled as any other.
        case lineEnd
    }

    private let form: Form
    private let strayCR: StrayCR
    /// The next byte begins a line of the output.
    private var atLineStart = true
    /// The last byte of the input so far was a CR, whose meaning the next byte decides.
    private var holdsCR = false

    package init(_ form: Form, strayCR: StrayCR = .space) {
        self.form = form
        self.strayCR = strayCR
    }

    /// Appends what `piece` becomes.
    package mutating func encode(_ piece: ArraySlice<UInt8>, into output: inout [UInt8]) {
        output.reserveCapacity(output.count + piece.count + piece.count / 16 + 8)
        piece.withUnsafeBytes { encode($0, into: &output) }
    }

    /// Appends what completes the message.
    package mutating func finish(into output: inout [UInt8]) {
        completeLine(in: &output)
        if form == .data { output.append(".\r\n") }
    }

    /// Ends a line that has begun; another may follow.
    package mutating func completeLine(in output: inout [UInt8]) {
        if holdsCR { appendStrayCR(to: &output) }
        if !atLineStart { endLine(in: &output) }
    }

    private mutating func encode(_ piece: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        var position = 0
        while position < piece.count {
            if holdsCR, piece[position] != ASCII.lf { appendStrayCR(to: &output) }
            let end = ByteScan.firstLineEnd(in: piece, from: position)
            appendText(UnsafeRawBufferPointer(rebasing: piece[position..<end]), to: &output)
            guard end < piece.count else { return }
            if piece[end] == ASCII.lf { endLine(in: &output) } else { holdsCR = true }
            position = end + 1
        }
    }

    /// Part of one line, without CR and LF.
    private mutating func appendText(_ text: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        guard let first = text.first else { return }
        if atLineStart, first == ASCII.dot, form == .data { output.append(ASCII.dot) }
        output.append(contentsOf: text)
        atLineStart = false
    }

    private mutating func endLine(in output: inout [UInt8]) {
        output.append("\r\n")
        holdsCR = false
        atLineStart = true
    }

    private mutating func appendStrayCR(to output: inout [UInt8]) {
        if strayCR == .lineEnd { return endLine(in: &output) }
        output.append(ASCII.space)
        holdsCR = false
        atLineStart = false
    }
}
