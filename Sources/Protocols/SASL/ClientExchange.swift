private import Bytes

/// A login from the client's side.
///
///     var exchange = ClientExchange(mechanism, login: login, password: password, nonce: random)
///     let initial = exchange.initialResponse()          // nil: the server speaks first
///     exchange.challengeReceived(challenge)             // .respond, or .abandon
///     exchange.successReceived(final)                   // whether the server is who it claims to be, where the mechanism tells
package struct ClientExchange: Sendable {
    package enum Action: Equatable, Sendable {
        case respond([UInt8])
        /// What the server said is no message of the mechanism, or proves that it does not know the password: cancel, trust nothing.
        case abandon
    }

    private enum State {
        case beginning
        case loginAsked
        case scramFirst(bare: [UInt8])
        case scramFinal(serverSignature: [UInt8])
        /// Nothing is to be said any more.
        case finished
    }

    package let mechanism: Mechanism
    private let login: [UInt8]
    private let password: [UInt8]
    private let nonce: [UInt8]
    private var state = State.beginning

    /// Of the random bytes for ``init(_:login:password:nonce:)``.
    package static let nonceBytes = 18

    /// - Parameter nonce: random bytes, used by SCRAM.
    package init(_ mechanism: Mechanism, login: [UInt8], password: [UInt8], nonce: [UInt8]) {
        self.mechanism = mechanism
        self.login = login
        self.password = password
        self.nonce = Base64.encode(nonce)
    }

    /// The best of what a server offers.
    /// - Parameter isEncrypted: without it the password itself is not sent, so PLAIN and LOGIN do not count.
    package static func choose(from offered: [[UInt8]], isEncrypted: Bool) -> Mechanism? {
        let names = Set(offered.map { $0.text.uppercased() })
        return Mechanism.allCases.first {
            names.contains($0.rawValue) && $0 != .apop && (isEncrypted || $0 == .scramSHA256 || $0 == .cramMD5)
        }
    }

    /// What goes with the command that names the mechanism (RFC 4954 §4).
    package mutating func initialResponse() -> [UInt8]? {
        switch mechanism {
        case .plain:
            state = .finished
            return [ASCII.nul] + login + [ASCII.nul] + password
        case .scramSHA256:
            guard let name = PreparedString.prepare(login) else { return nil }
            let bare = Array("n=".utf8) + SCRAMMessage.encodeName(name) + Array(",r=".utf8) + nonce
            state = .scramFirst(bare: bare)
            return Array("n,,".utf8) + bare
        case .login, .cramMD5, .apop: return nil
        }
    }

    package mutating func challengeReceived(_ challenge: [UInt8]) -> Action {
        switch (state, mechanism) {
        case (.beginning, .login):
            state = .loginAsked
            return .respond(login)
        case (.loginAsked, .login):
            state = .finished
            return .respond(password)
        case (.beginning, .cramMD5):
            state = .finished
            let digest = Claim.Digest(login: login, challenge: challenge, kind: .cramMD5, secret: password)
            return .respond(login + [ASCII.space] + digest.hexadecimal)
        case (.scramFirst(let bare), .scramSHA256): return scramFinal(SCRAMMessage.ServerFirst(challenge), challenge, bare)
        case (.scramFinal(let signature), .scramSHA256):
            // A protocol without room for it beside success sends it as a last challenge, to be answered by nothing.
            guard isSigned(challenge, signature) else { return .abandon }
            state = .finished
            return .respond([])
        default: return .abandon
        }
    }

    /// - Parameter final: what came with the success, where the protocol has room for it.
    /// - Returns: false when the exchange is not over, or the server did not prove what it must: then it may not be trusted.
    package func successReceived(_ final: [UInt8] = []) -> Bool {
        switch state {
        case .finished: true
        case .scramFinal(let signature): isSigned(final, signature)
        case .beginning, .loginAsked, .scramFirst: false
        }
    }

    private mutating func scramFinal(_ first: SCRAMMessage.ServerFirst?, _ challenge: [UInt8], _ bare: [UInt8]) -> Action {
        guard let first, first.nonce.count > nonce.count, first.nonce.starts(with: nonce), let password = PreparedString.prepare(password),
            first.iterations >= SCRAMKeys.minIterations, first.iterations <= SCRAMKeys.maxIterations
        else { return .abandon }
        let salted = SaltedPassword(password, salt: first.salt, iterations: first.iterations)
        // `biws` is `n,,`.
        let withoutProof = Array("c=biws,r=".utf8) + first.nonce
        let authMessage = Array([bare, challenge, withoutProof].joined(separator: [ASCII.comma]))
        let signature = Hash.code(authMessage, key: salted.storedKey)
        let proof = zip(salted.clientKey, signature).map { $0 ^ $1 }
        state = .scramFinal(serverSignature: Hash.code(authMessage, key: salted.serverKey))
        return .respond(withoutProof + Array(",p=".utf8) + Base64.encode(proof))
    }

    /// `verifier = "v=" base64`
    private func isSigned(_ message: [UInt8], _ signature: [UInt8]) -> Bool {
        let field = message.prefix { $0 != ASCII.comma }
        guard let verifier = SCRAMMessage.value(field, of: "v").flatMap({ Base64.decode($0) }) else { return false }
        return verifier.isEqualInConstantTime(to: signature)
    }
}
