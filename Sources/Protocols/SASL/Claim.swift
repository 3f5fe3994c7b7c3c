private import Bytes
private import Crypto

/// What a client says and somebody who knows the account must judge.
package enum Claim: Equatable, Sendable {
    case password(login: [UInt8], [UInt8])
    case digest(Digest)

    package var login: [UInt8] {
        switch self {
        case .password(let login, _): login
        case .digest(let digest): digest.login
        }
    }

    /// Made from the password and a challenge that is used once.
    package struct Digest: Equatable, Sendable {
        package var login: [UInt8]
        package var challenge: [UInt8]
        /// 32 hexadecimal digits in lower case.
        package var hexadecimal: [UInt8]
        package var kind: Kind

        package enum Kind: Sendable {
            /// HMAC-MD5 of the challenge (RFC 2195 §2).
            case cramMD5
            /// MD5 of timestamp and password (RFC 1939 §7).
            case apop
        }

        package init(login: [UInt8], challenge: [UInt8], hexadecimal: [UInt8], kind: Kind) {
            self.login = login
            self.challenge = challenge
            self.hexadecimal = hexadecimal
            self.kind = kind
        }

        /// As a client makes it.
        package init(login: [UInt8], challenge: [UInt8], kind: Kind, secret: [UInt8]) {
            let code =
                switch kind {
                case .cramMD5: Array(HMAC<Insecure.MD5>.authenticationCode(for: challenge, using: SymmetricKey(data: secret)))
                case .apop: Array(Insecure.MD5.hash(data: challenge + secret))
                }
            self.init(login: login, challenge: challenge, hexadecimal: Hexadecimal.encode(code), kind: kind)
        }

        /// Whether it was made with that password.
        package func isMade(with secret: [UInt8]) -> Bool {
            Digest(login: login, challenge: challenge, kind: kind, secret: secret).hexadecimal.isEqualInConstantTime(to: hexadecimal)
        }
    }
}

/// Lower case, as RFC 2195 and RFC 1939 write digests.
enum Hexadecimal {
    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }
}
