internal import Bytes

/// RFC 5802 §7: what the two sides of SCRAM say, as `letter=value` between commas.
enum SCRAMMessage {
    /// Longer nonces, salts and names are nobody's.
    static let maxBytes = 2048

    /// `client-first-message = gs2-header client-first-message-bare`
    struct ClientFirst {
        /// `gs2-cbind-flag "," [authzid] ","`
        var header: ArraySlice<UInt8>
        var bare: ArraySlice<UInt8>
        var authorization: [UInt8]
        var login: [UInt8]
        var nonce: ArraySlice<UInt8>

        /// - Returns: nil also for `p`: channel binding is not offered, so no honest client asks for it (§6). `y`, a client that could but thinks that we
        ///   cannot, is right.
        init?(_ message: [UInt8]) {
            guard message.count <= maxBytes, let flag = message.first, [UInt8(ascii: "n"), UInt8(ascii: "y")].contains(flag),
                message.dropFirst().first == ASCII.comma, let headerEnd = message.dropFirst(2).firstIndex(of: ASCII.comma)
            else { return nil }
            header = message[...headerEnd]
            bare = message[(headerEnd + 1)...]
            let authzid = message[2..<headerEnd]
            // An extension that must be understood begins the bare message with `m=`.
            let fields = bare.split(separator: ASCII.comma, omittingEmptySubsequences: false)
            guard fields.count >= 2, let name = value(fields[0], of: "n"), let nonce = value(fields[1], of: "r"),
                let login = decodeName(name), !login.isEmpty, isNonce(nonce)
            else { return nil }
            guard let authorization = authzid.isEmpty ? [] : value(authzid, of: "a").flatMap(decodeName) else { return nil }
            (self.login, self.nonce, self.authorization) = (login, nonce, authorization)
        }
    }

    /// `client-final-message = client-final-message-without-proof "," proof`
    struct ClientFinal {
        var withoutProof: ArraySlice<UInt8>
        var binding: [UInt8]
        var nonce: ArraySlice<UInt8>
        var proof: [UInt8]

        init?(_ message: [UInt8]) {
            guard message.count <= maxBytes, let end = message.lastIndex(of: ASCII.comma) else { return nil }
            withoutProof = message[..<end]
            let fields = withoutProof.split(separator: ASCII.comma, omittingEmptySubsequences: false)
            guard fields.count >= 2, let binding = value(fields[0], of: "c").flatMap({ Base64.decode($0) }), let nonce = value(fields[1], of: "r"),
                let proof = value(message[(end + 1)...], of: "p").flatMap({ Base64.decode($0) }), proof.count == SCRAMKeys.keyBytes
            else { return nil }
            (self.binding, self.nonce, self.proof) = (binding, nonce, proof)
        }
    }

    /// `server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count`
    struct ServerFirst {
        var nonce: ArraySlice<UInt8>
        var salt: [UInt8]
        var iterations: UInt32

        init?(_ message: [UInt8]) {
            let fields = message.split(separator: ASCII.comma, omittingEmptySubsequences: false)
            guard message.count <= maxBytes, fields.count >= 3, let nonce = value(fields[0], of: "r"), isNonce(nonce),
                let salt = value(fields[1], of: "s").flatMap({ Base64.decode($0) }), !salt.isEmpty,
                let count = value(fields[2], of: "i").flatMap({ parseDecimal($0) }), let iterations = UInt32(exactly: count)
            else { return nil }
            (self.nonce, self.salt, self.iterations) = (nonce, salt, iterations)
        }
    }

    /// What comes behind `letter=`.
    static func value(_ field: ArraySlice<UInt8>, of letter: StaticString) -> ArraySlice<UInt8>? {
        field.count >= 2 && field.first == letter.utf8Start.pointee && field.dropFirst().first == ASCII.equals ? field.dropFirst(2) : nil
    }

    /// `printable = %x21-2B / %x2D-7E`
    private static func isNonce(_ bytes: ArraySlice<UInt8>) -> Bool { !bytes.isEmpty && bytes.allSatisfy { $0.isGraphic && $0 != ASCII.comma } }

    /// `saslname`: a comma is `=2C`, an equals sign `=3D`, and nothing else is escaped.
    static func decodeName(_ bytes: ArraySlice<UInt8>) -> [UInt8]? {
        var output: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            guard byte == ASCII.equals else {
                output.append(byte)
                continue
            }
            switch rest.prefix(2).text {
            case "2C": output.append(ASCII.comma)
            case "3D": output.append(ASCII.equals)
            default: return nil
            }
            rest = rest.dropFirst(2)
        }
        return PreparedString.prepare(output)
    }

    static func encodeName(_ bytes: [UInt8]) -> [UInt8] {
        bytes.flatMap { byte -> [UInt8] in
            switch byte {
            case ASCII.comma: Array("=2C".utf8)
            case ASCII.equals: Array("=3D".utf8)
            default: [byte]
            }
        }
    }
}
