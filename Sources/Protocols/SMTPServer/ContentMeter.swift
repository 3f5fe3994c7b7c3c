private import Bytes

/// Counts what limits are about, over decoded content: bytes, and in the header bytes, fields and hops.
struct ContentMeter {
    private(set) var bytes: UInt64 = 0
    private(set) var headerBytes = 0
    private(set) var headerFields = 0
    /// Lines of the header that begin with `received` or `delivered` (spec-qmail §13.4).
    private(set) var hops = 0
    private var isInHeader = true
    private var column = 0
    private var mayBeReceived = true
    private var mayBeDelivered = true

    mutating func measure(_ content: [UInt8]) {
        bytes &+= UInt64(content.count)
        if isInHeader { content.withUnsafeBufferPointer { header($0) } }
    }

    private mutating func header(_ content: UnsafeBufferPointer<UInt8>) {
        for (index, byte) in content.enumerated() {
            if byte == ASCII.lf {
                if column == 0 {
                    isInHeader = false
                    headerBytes += index + 1
                    return
                }
                column = 0
                continue
            }
            if column <= Self.longestName { lineBegins(byte) }
        }
        headerBytes += content.count
    }

    private static let received: [UInt8] = Array("received".utf8)
    private static let delivered: [UInt8] = Array("delivered".utf8)
    private static let longestName = 8

    private mutating func lineBegins(_ byte: UInt8) {
        if column == 0 {
            mayBeReceived = true
            mayBeDelivered = true
            if !byte.isBlank { headerFields += 1 }
        }
        mayBeReceived = mayBeReceived && column < 8 && byte.lowercased == Self.received[column]
        mayBeDelivered = mayBeDelivered && byte.lowercased == Self.delivered[column]
        if mayBeReceived && column == 7 || mayBeDelivered && column == 8 { hops += 1 }
        column += 1
    }
}
