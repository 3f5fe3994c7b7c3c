private import Bytes

/// What must be known of a message's content before MAIL: found in one pass over all of it, in pieces of any size.
package struct ContentSummary: Equatable, Sendable {
    /// Of the stored form, with LF line ends.
    package private(set) var byteCount = 0
    package private(set) var lineFeedCount = 0
    /// A byte above 127: BODY=8BITMIME (RFC 6152).
    package private(set) var isEightBit = false
    /// SMTP cannot carry NUL (RFC 5321 §4.5.2, RFC 5322 §3.5): such a message fails.
    package private(set) var hasNUL = false

    /// It does not end with LF; a CR at the very end is taken for one, as in qmail.
    package private(set) var endsWithinLine = false

    package init() {}

    package init(_ content: some Collection<UInt8>) { add(Array(content)[...]) }

    /// For SIZE= (RFC 1870 §3): the bytes with CR LF line ends, dots not doubled. Where the content has CR LF already, a little too much.
    package var transferSize: Int { byteCount + lineFeedCount }

    package mutating func add(_ piece: ArraySlice<UInt8>) { piece.withUnsafeBytes { add($0) } }

    private mutating func add(_ bytes: UnsafeRawBufferPointer) {
        let lf = ASCII.lf
        let lineFeeds = ByteScan.repeated(lf)
        var (seen, nuls, feeds) = (UInt64(0), UInt64(0), 0)
        var position = 0
        while position + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            seen |= word
            nuls |= ByteScan.zeros(in: word)
            feeds += ByteScan.zeros(in: word ^ lineFeeds).nonzeroBitCount
            position += 8
        }
        while position < bytes.count {
            let byte = bytes[position]
            seen |= UInt64(byte)
            nuls |= byte == 0 ? 1 : 0
            feeds += byte == lf ? 1 : 0
            position += 1
        }
        byteCount += bytes.count
        if let last = bytes.last { endsWithinLine = last != lf && last != ASCII.cr }
        lineFeedCount += feeds
        isEightBit = isEightBit || seen & ByteScan.highBits != 0
        hasNUL = hasNUL || nuls != 0
    }
}
