private import Bytes

/// How much of a message TOP shows (RFC 1939 §7): its header, the empty line behind it, and so many lines of the body.
struct TopOfMessage {
    /// Nil shows all.
    private var bodyLines: UInt64?
    private var isInHeader = true
    /// Bytes of the line that has begun; a CR alone leaves it empty.
    private var isLineEmpty = true
    private(set) var isComplete = false

    init(bodyLines: UInt64?) { self.bodyLines = bodyLines }

    /// What of the next piece of stored content is shown.
    mutating func take(_ piece: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard var left = bodyLines, !isComplete else { return isComplete ? [] : piece }
        var position = piece.startIndex
        while position < piece.endIndex {
            if !isInHeader, left == 0 {
                isComplete = true
                break
            }
            guard let end = piece[position...].firstIndex(of: ASCII.lf) else {
                if piece[position...].contains(where: { $0 != ASCII.cr }) { isLineEmpty = false }
                position = piece.endIndex
                break
            }
            if isInHeader {
                isInHeader = !(isLineEmpty && piece[position..<end].allSatisfy { $0 == ASCII.cr })
                isLineEmpty = true
            } else {
                left -= 1
            }
            position = end + 1
        }
        bodyLines = left
        return piece[..<position]
    }
}
