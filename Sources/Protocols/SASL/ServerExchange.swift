private import Bytes

/// A login from the server's side: messages in, what to do out. It asks whoever knows the accounts, and is fed the answer.
package struct ServerExchange: Sendable {
    package enum Action: Equatable, Sendable {
        case challenge([UInt8])
        /// Answer by ``claimJudged(isTrue:)``.
        case judge(Claim)
        /// Answer by ``keysFound(_:)``, for an account that is not there with ``SCRAMKeys/decoy(login:seed:iterations:)``.
        case findKeys(login: [UInt8])
        /// - final: what the server has to prove, or nothing.
        case succeed(login: [UInt8], final: [UInt8])
        case fail(Failure)
    }

    package enum Failure: Equatable, Sendable {
        case credentials
        /// No message of the mechanism.
        case malformed
    }

    private enum State {
        case beginning
        case responseDue
        case passwordDue(login: [UInt8])
        case judging(login: [UInt8])
        case findingKeys(SCRAMMessage.ClientFirst)
        case proofDue(SCRAMMessage.ClientFirst, serverFirst: [UInt8], nonce: [UInt8], SCRAMKeys)
        case finished
    }

    package let mechanism: Mechanism
    private let binding: [UInt8]
    private var state = State.beginning

    /// RFC 4616 §2 bounds each field at 255 characters; twice that, for those who count in bytes.
    package static let maxFieldBytes = 512

    /// - Parameter binding: what makes this exchange like no other. CRAM-MD5: the challenge, `<random.time@host>`; APOP: the timestamp of the greeting;
    ///   SCRAM: a nonce of printable characters without comma. The others have no use for it.
    package init(_ mechanism: Mechanism, binding: [UInt8]) {
        self.mechanism = mechanism
        self.binding = binding
    }

    // MARK: - Events

    /// - Parameter initial: what came with the command that named the mechanism; nil when nothing did.
    package mutating func begun(initial: [UInt8]?) -> Action {
        guard case .beginning = state else { return fail(.malformed) }
        state = .responseDue
        if let initial {
            // A client may not answer what it has not been asked (RFC 2195 has no initial response).
            return mechanism == .cramMD5 ? fail(.malformed) : responseReceived(initial)
        }
        switch mechanism {
        case .plain, .scramSHA256: return .challenge([])
        case .login: return .challenge(Array("Username:".utf8))
        case .cramMD5: return .challenge(binding)
        case .apop: return fail(.malformed)
        }
    }

    package mutating func responseReceived(_ response: [UInt8]) -> Action {
        switch state {
        case .responseDue:
            switch mechanism {
            case .plain: return plain(response)
            case .login: return loginName(response)
            case .cramMD5: return digest(response, .cramMD5)
            case .apop: return digest(response, .apop)
            case .scramSHA256: return scramFirst(response)
            }
        case .passwordDue(let login): return judge(.password(login: login, response))
        case .proofDue(let first, let serverFirst, let nonce, let keys): return scramFinal(response, first, serverFirst, nonce, keys)
        case .beginning, .judging, .findingKeys, .finished: return fail(.malformed)
        }
    }

    package mutating func claimJudged(isTrue: Bool) -> Action {
        guard case .judging(let login) = state, isTrue else { return fail(.credentials) }
        state = .finished
        return .succeed(login: login, final: [])
    }

    package mutating func keysFound(_ keys: SCRAMKeys) -> Action {
        guard case .findingKeys(let first) = state else { return fail(.malformed) }
        let nonce = first.nonce + binding
        let serverFirst = Array("r=".utf8) + nonce + Array(",s=".utf8) + Base64.encode(keys.salt) + Array(",i=\(keys.iterations)".utf8)
        state = .proofDue(first, serverFirst: serverFirst, nonce: Array(nonce), keys)
        return .challenge(serverFirst)
    }

    // MARK: - Mechanisms

    /// `message = [authzid] UTF8NUL authcid UTF8NUL passwd`
    private mutating func plain(_ message: [UInt8]) -> Action {
        let fields = message.split(separator: ASCII.nul, omittingEmptySubsequences: false)
        guard fields.count == 3 else { return fail(.malformed) }
        // Nobody acts as somebody else.
        guard fields[0].isEmpty || fields[0] == fields[1] else { return fail(.credentials) }
        return judge(.password(login: Array(fields[1]), Array(fields[2])))
    }

    private mutating func loginName(_ response: [UInt8]) -> Action {
        guard isField(response) else { return fail(.malformed) }
        state = .passwordDue(login: response)
        return .challenge(Array("Password:".utf8))
    }

    /// `login SP digest`; a login may hold blanks.
    private mutating func digest(_ response: [UInt8], _ kind: Claim.Digest.Kind) -> Action {
        guard let blank = response.lastIndex(of: ASCII.space) else { return fail(.malformed) }
        let digits = response[(blank + 1)...].lowercasedASCII()
        guard digits.count == 32 else { return fail(.malformed) }
        return judge(.digest(Claim.Digest(login: Array(response[..<blank]), challenge: binding, hexadecimal: digits, kind: kind)))
    }

    private mutating func scramFirst(_ message: [UInt8]) -> Action {
        guard let first = SCRAMMessage.ClientFirst(message), isField(first.login) else { return fail(.malformed) }
        guard first.authorization.isEmpty || first.authorization == first.login else { return fail(.credentials) }
        state = .findingKeys(first)
        return .findKeys(login: first.login)
    }

    private mutating func scramFinal(
        _ message: [UInt8], _ first: SCRAMMessage.ClientFirst, _ serverFirst: [UInt8], _ nonce: [UInt8], _ keys: SCRAMKeys
    ) -> Action {
        guard let final = SCRAMMessage.ClientFinal(message), final.binding.elementsEqual(first.header), final.nonce.elementsEqual(nonce) else {
            return fail(.malformed)
        }
        let authMessage = Array([Array(first.bare), serverFirst, Array(final.withoutProof)].joined(separator: [ASCII.comma]))
        let signature = Hash.code(authMessage, key: keys.storedKey)
        let clientKey = zip(final.proof, signature).map { $0 ^ $1 }
        guard Hash.of(clientKey).isEqualInConstantTime(to: keys.storedKey) else { return fail(.credentials) }
        state = .finished
        let verifier = Hash.code(authMessage, key: keys.serverKey)
        return .succeed(login: first.login, final: Array("v=".utf8) + Base64.encode(verifier))
    }

    private mutating func judge(_ claim: Claim) -> Action {
        if case .password(_, let password) = claim, !isField(password) { return fail(.malformed) }
        guard isField(claim.login) else { return fail(.malformed) }
        state = .judging(login: claim.login)
        return .judge(claim)
    }

    /// A NUL would end it for those who read C strings.
    private func isField(_ bytes: [UInt8]) -> Bool { !bytes.isEmpty && bytes.count <= Self.maxFieldBytes && !bytes.contains(ASCII.nul) }

    private mutating func fail(_ failure: Failure) -> Action {
        state = .finished
        return .fail(failure)
    }
}
