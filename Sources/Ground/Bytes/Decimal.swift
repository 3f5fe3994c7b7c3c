/// A whole number written in decimal digits only: no sign, no blanks, at least one digit, at most `maxDigits`.
/// - Returns: nil when `bytes` is anything else or does not fit.
package func parseDecimal(_ bytes: some Collection<UInt8>, maxDigits: Int = 19) -> UInt64? {
    guard !bytes.isEmpty, bytes.count <= maxDigits else { return nil }
    var value: UInt64 = 0
    for byte in bytes {
        guard byte.isDigit else { return nil }
        let (scaled, overflowed) = value.multipliedReportingOverflow(by: 10)
        let (sum, carried) = scaled.addingReportingOverflow(UInt64(byte &- ASCII.zero))
        guard !overflowed, !carried else { return nil }
        value = sum
    }
    return value
}

/// The number at the front of `bytes`, as qmail's control files give it (spec-qmail §5.1): leading digits, whatever follows ignored.
/// - Returns: nil without a leading digit or when the number does not fit.
package func parseLeadingDecimal(_ bytes: some Collection<UInt8>) -> UInt64? {
    parseDecimal(Array(bytes.prefix(while: \.isDigit)))
}

extension [UInt8] {
    /// In decimal digits.
    package mutating func append(decimal number: UInt64) {
        let start = count
        var left = number
        repeat {
            append(ASCII.zero + UInt8(truncatingIfNeeded: left % 10))
            left /= 10
        } while left > 0
        self[start...].reverse()
    }
}
