private import Bytes

/// The line that parts a multipart message (RFC 2046 §5.1.1). Made of 128 bits that the senders of quoted texts must not be able to guess, or they
/// could write it themselves and so forge a part.
package struct MIMEBoundary: Equatable, Sendable {
    /// Of letters and digits only: needs no quotes.
    let text: [UInt8]

    /// The bits are an input: the same make the same boundary.
    package init(_ high: UInt64, _ low: UInt64) { text = Array(MIMEBoundary.hex(high)) + MIMEBoundary.hex(low) }

    private static func hex(_ number: UInt64) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return stride(from: 60, through: 0, by: -4).map { digits[Int(number >> UInt64($0) & 15)] }
    }

    var opening: [UInt8] { [ASCII.hyphen, ASCII.hyphen] + text + [ASCII.lf] }
    var closing: [UInt8] { [ASCII.hyphen, ASCII.hyphen] + text + [ASCII.hyphen, ASCII.hyphen, ASCII.lf] }
}
