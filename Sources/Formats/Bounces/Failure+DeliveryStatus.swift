private import Addresses
private import Bytes

// The fields of one recipient in message/delivery-status (RFC 3464 §2.3).
extension Failure {
    /// RFC 5322 §2.1.1 allows 998; what a remote host says is cut here.
    private static let maxDiagnosticBytes = 900
    /// Where a field is folded, if it has a blank.
    private static let foldColumn = 76

    func appendStatusFields(to output: inout [UInt8]) {
        output.append("\nFinal-Recipient: ")
        output.append(contentsOf: finalRecipient)
        output.append("\nAction: failed\nStatus: ")
        output.append(contentsOf: status)
        output.append(ASCII.lf)
        guard let reply = remoteReply else { return }
        let field = Array("Diagnostic-Code: smtp; ".utf8) + reply.prefix(Self.maxDiagnosticBytes).map(Self.visible)
        output.append(contentsOf: Self.folded(field))
        output.append(ASCII.lf)
    }

    private static func visible(_ byte: UInt8) -> UInt8 {
        if byte == ASCII.lf || byte.isBlank { return ASCII.space }
        return byte.isGraphic ? byte : ASCII.question
    }

    /// RFC 3464 §2.3.2. An address that is not ASCII goes as `utf-8` with its characters as `\x{…}` (RFC 6533 §3), so that the part stays ASCII.
    private var finalRecipient: [UInt8] {
        if recipient.isASCII { return Array("rfc822; ".utf8) + recipient.quoted.map { $0.isControl ? ASCII.question : $0 } }
        guard let text = String(validating: recipient.bytes, as: UTF8.self) else {
            return Array("unknown; ".utf8) + recipient.bytes.map { $0.isGraphic ? $0 : ASCII.question }
        }
        var result = Array("utf-8; ".utf8)
        for scalar in text.unicodeScalars {
            // RFC 6533 §3: QCHAR is visible ASCII without \, + and =.
            if scalar.isASCII, let byte = UInt8(exactly: scalar.value), byte.isGraphic, !"\\+=".utf8.contains(byte) {
                result.append(byte)
            } else {
                result.append(contentsOf: "\\x{\(String(scalar.value, radix: 16, uppercase: true))}".utf8)
            }
        }
        return result
    }

    /// The code of `(#x.y.z)` in the text, else that of the remote host's reply, else 5.0.0.
    private var status: [UInt8] {
        var from = text.startIndex
        while let open = text[from...].firstIndex(of: ASCII.hash) {
            from = open + 1
            if let code = Self.enhancedCode(text[from...]) { return code }
        }
        if let reply = remoteReply?.dropFirst(4), let code = Self.enhancedCode(reply) { return code }
        return Array("5.0.0".utf8)
    }

    /// RFC 3463 §2: class 4 or 5, then two numbers of up to three digits. Class 2 cannot be: the recipient failed.
    private static func enhancedCode(_ bytes: ArraySlice<UInt8>) -> [UInt8]? {
        let code = bytes.prefix(9).prefix { $0.isDigit || $0 == ASCII.dot }
        let parts = code.split(separator: ASCII.dot, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].count == 1, let first = parts[0].first, first == 0x34 || first == 0x35,
            parts[1...].allSatisfy({ (1...3).contains($0.count) })
        else { return nil }
        return Array(code)
    }

    /// What follows `Remote host said: ` up to `Giving up on` (spec-qmail §14.2); nil when no host said anything.
    private var remoteReply: ArraySlice<UInt8>? {
        guard let start = Self.end(of: Array("Remote host said: ".utf8), in: text) else { return nil }
        let giveUp = Array("\nGiving up on ".utf8)
        var reply = text[start...]
        if let end = Self.end(of: giveUp, in: reply) { reply = reply[..<(end - giveUp.count)] }
        while let last = reply.last, last == ASCII.lf || last == ASCII.cr { reply.removeLast() }
        return reply.isEmpty ? nil : reply
    }

    /// The index after the first `pattern` in `bytes`.
    private static func end(of pattern: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        guard let first = pattern.first else { return nil }
        var from = bytes.startIndex
        while let found = bytes[from...].firstIndex(of: first) {
            if bytes[found...].starts(with: pattern) { return found + pattern.count }
            from = found + 1
        }
        return nil
    }

    /// Breaks a line at blanks after column ``foldColumn`` (RFC 5322 §2.2.3).
    private static func folded(_ field: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var column = 0
        for (index, byte) in field.enumerated() {
            if byte == ASCII.space, column >= foldColumn, index + 1 < field.count, field[index + 1] != ASCII.space {
                result.append(ASCII.lf)
                column = 0
            }
            result.append(byte)
            column += 1
        }
        return result
    }
}
