private import Bytes

/// Makes CRLF to LF if the first line ends in CRLF: programs that speak mail's own line ends to sendmail mean the system's. A CR elsewhere stays.
package struct LineEnds {
    /// Nil until the first line has ended.
    private var areCRLF: Bool?
    /// The last byte was a CR, not yet passed on.
    private var holdsCR = false

    package init() {}

    /// - Parameter start: where in `buffer` the bytes begin that have come now.
    package mutating func convert(_ buffer: inout [UInt8], from start: Int, isAtEnd: Bool) {
        if areCRLF == false { return }
        var converted: [UInt8] = []
        converted.reserveCapacity(buffer.count - start + 1)
        for byte in buffer[start...] {
            if byte == ASCII.lf, areCRLF == nil { areCRLF = holdsCR }
            if holdsCR, byte != ASCII.lf || areCRLF != true { converted.append(ASCII.cr) }
            holdsCR = byte == ASCII.cr
            if !holdsCR { converted.append(byte) }
        }
        // Once it is known that CR means nothing here, none is held.
        if holdsCR, isAtEnd || areCRLF == false {
            converted.append(ASCII.cr)
            holdsCR = false
        }
        buffer.replaceSubrange(start..., with: converted)
    }
}
