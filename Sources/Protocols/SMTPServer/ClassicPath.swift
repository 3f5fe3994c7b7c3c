private import Bytes

/// The address in the argument of MAIL or RCPT as qmail-smtpd finds it: nothing is a syntax error, what follows is ignored (spec-qmail §13.3).
/// - Returns: unquoted, without source route.
func classicPath(_ argument: ArraySlice<UInt8>) -> [UInt8] {
    var rest: ArraySlice<UInt8>
    let terminator: UInt8
    if let open = argument.firstIndex(of: ASCII.less) {
        terminator = ASCII.greater
        rest = argument[(open + 1)...]
    } else {
        terminator = ASCII.space
        guard let colon = argument.firstIndex(of: ASCII.colon) else { return [] }
        rest = argument[(colon + 1)...].drop { $0 == ASCII.space }
    }
    if rest.first == ASCII.at {
        rest = rest.firstIndex(of: ASCII.colon).map { rest[($0 + 1)...] } ?? []
    }
    return unquoted(&rest, until: terminator).address
}

/// Reads up to an unquoted `terminator`, which stays in `rest`. A backslash takes the next byte as it is, `"` toggles quoting; both are removed.
/// - Returns: also whether every quote and every escape was complete.
func unquoted(_ rest: inout ArraySlice<UInt8>, until terminator: UInt8) -> (address: [UInt8], isComplete: Bool) {
    var address: [UInt8] = []
    var isQuoted = false
    var isEscaped = false
    while let byte = rest.first {
        if isEscaped {
            address.append(byte)
            isEscaped = false
        } else if !isQuoted, byte == terminator {
            break
        } else if byte == ASCII.backslash {
            isEscaped = true
        } else if byte == ASCII.quote {
            isQuoted.toggle()
        } else {
            address.append(byte)
        }
        rest.removeFirst()
    }
    return (address, !isQuoted && !isEscaped)
}
