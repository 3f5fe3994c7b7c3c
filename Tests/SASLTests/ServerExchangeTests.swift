import Bytes
import SASL
import Testing

struct ServerExchangeTests {
    private func begin(_ mechanism: Mechanism, _ binding: String = "", _ initial: String? = nil) -> (ServerExchange, ServerExchange.Action) {
        var exchange = ServerExchange(mechanism, binding: bytes(binding))
        let action = exchange.begun(initial: initial.map(bytes))
        return (exchange, action)
    }

    private func password(_ login: String, _ password: String) -> ServerExchange.Action {
        .judge(.password(login: bytes(login), bytes(password)))
    }

    @Test(arguments: [
        ("\0tim\0tanstaaftanstaaf", "tim", "tanstaaftanstaaf"), ("tim\0tim\0x", "tim", "x"), ("\0'; DROP TABLE--\0%s%n", "'; DROP TABLE--", "%s%n"),
        ("\0../../etc\0*)(uid=*", "../../etc", "*)(uid=*"),
    ])
    func plain(_ message: String, _ login: String, _ secret: String) {
        #expect(begin(.plain, "", message).1 == password(login, secret))
        var (exchange, action) = begin(.plain)
        #expect(action == .challenge([]))
        #expect(exchange.responseReceived(bytes(message)) == password(login, secret))
        #expect(exchange.claimJudged(isTrue: true) == .succeed(login: bytes(login), final: []))
        #expect(exchange.responseReceived(bytes(message)) == .fail(.malformed))
    }

    @Test(arguments: [
        ("", ServerExchange.Failure.malformed), ("tim", .malformed), ("\0tim", .malformed), ("\0tim\0", .malformed), ("\0\0x", .malformed),
        ("\0tim\0x\0y", .malformed), ("other\0tim\0x", .credentials),
    ])
    func notPlain(_ message: String, _ failure: ServerExchange.Failure) { #expect(begin(.plain, "", message).1 == .fail(failure)) }

    @Test func fieldsAreBounded() {
        let long = String(repeating: "x", count: ServerExchange.maxFieldBytes + 1)
        #expect(begin(.plain, "", "\0\(long)\0x").1 == .fail(.malformed))
        #expect(begin(.plain, "", "\0x\0\(long)").1 == .fail(.malformed))
        #expect(begin(.login, "", long).1 == .fail(.malformed))
    }

    @Test func login() {
        var (exchange, action) = begin(.login)
        #expect(action == .challenge(bytes("Username:")))
        #expect(exchange.responseReceived(bytes("tim")) == .challenge(bytes("Password:")))
        #expect(exchange.responseReceived(bytes("secret")) == password("tim", "secret"))
        #expect(exchange.claimJudged(isTrue: false) == .fail(.credentials))
        #expect(exchange.claimJudged(isTrue: true) == .fail(.credentials))
        #expect(begin(.login, "", "tim").1 == .challenge(bytes("Password:")))
    }

    /// RFC 2195 §2.
    @Test func cramMD5() {
        let challenge = "<1896.697170952@postoffice.reston.mci.net>"
        var (exchange, action) = begin(.cramMD5, challenge)
        #expect(action == .challenge(bytes(challenge)))
        guard case .judge(.digest(let digest)) = exchange.responseReceived(bytes("tim b913a602c7eda7a495b4e6e7334d3890")) else {
            Issue.record("no digest")
            return
        }
        #expect(digest.login == bytes("tim"))
        #expect(digest.isMade(with: bytes("tanstaaftanstaaf")))
        #expect(!digest.isMade(with: bytes("tanstaaftanstaag")))
        #expect(begin(.cramMD5, challenge, "tim b913a602c7eda7a495b4e6e7334d3890").1 == .fail(.malformed))
    }

    /// RFC 1939 §7.
    @Test func apop() {
        let action = begin(.apop, "<1896.697170952@dbc.mtview.ca.us>", "mrose c4c9334bac560ecc979e58001b3e22fb").1
        guard case .judge(.digest(let digest)) = action else {
            Issue.record("no digest")
            return
        }
        #expect(digest.isMade(with: bytes("tanstaaf")))
        #expect(!digest.isMade(with: bytes("tanstaag")))
        #expect(begin(.apop).1 == .fail(.malformed))
        #expect(begin(.apop, "<x>", "mrose").1 == .fail(.malformed))
        #expect(begin(.apop, "<x>", "mrose c4").1 == .fail(.malformed))
    }

    // MARK: - SCRAM-SHA-256, RFC 7677 §3

    private static let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    private static let serverFirst = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    private static let clientFinal =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

    private func keys() throws -> SCRAMKeys {
        let salt = try #require(Base64.decode(bytes("W22ZaJ0SNY7soEsUEjb6gQ==")))
        return try #require(SCRAMKeys.derive(password: bytes("pencil"), salt: salt, iterations: 4096))
    }

    @Test func scram() throws {
        var (exchange, action) = begin(.scramSHA256, Self.nonce, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        #expect(action == .findKeys(login: bytes("user")))
        #expect(exchange.keysFound(try keys()) == .challenge(bytes(Self.serverFirst)))
        #expect(
            exchange.responseReceived(bytes(Self.clientFinal))
                == .succeed(login: bytes("user"), final: bytes("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")))
    }

    @Test(arguments: [
        (
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVA=",
            ServerExchange.Failure.credentials
        ),
        ("c=biws,r=another,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", .malformed),
        // Another header than the one that was sent: a downgrade.
        ("c=eSws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", .malformed),
        ("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=AAAA", .malformed), ("", .malformed), (",", .malformed),
    ])
    func scramProofs(_ final: String, _ failure: ServerExchange.Failure) throws {
        var (exchange, _) = begin(.scramSHA256, Self.nonce, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        _ = exchange.keysFound(try keys())
        #expect(exchange.responseReceived(bytes(final)) == .fail(failure))
        #expect(exchange.responseReceived(bytes(Self.clientFinal)) == .fail(.malformed))
    }

    @Test(arguments: [
        "", "n", "n,", "n,,", "p=tls-unique,,n=user,r=x", "p=,,n=user,r=x", "x,,n=user,r=x", "n,,n=user", "n,,n=,r=x", "n,,n=a=2Cb=,r=x",
        "n,,n=a=2c,r=x", "n,,m=ext,n=user,r=x", "n,user,n=user,r=x", "n,,n=us\u{1}er,r=x", "n,,r=x,n=user", "n,,n=user,r=",
    ])
    func notSCRAM(_ first: String) { #expect(begin(.scramSHA256, "s", first).1 == .fail(.malformed)) }

    @Test(arguments: [
        ("n,,n=a=2Cb=3D,r=x", "a,b="), ("y,,n=user,r=x", "user"), ("n,a=user,n=user,r=x,ext=1", "user"), ("n,,n=a\u{A0}b\u{AD},r=x", "a b"),
    ])
    func scramNames(_ first: String, _ login: String) { #expect(begin(.scramSHA256, "s", first).1 == .findKeys(login: bytes(login))) }

    @Test func scramForSomebodyElse() { #expect(begin(.scramSHA256, "s", "n,a=root,n=user,r=x").1 == .fail(.credentials)) }

    /// An account that is not there answers as one that is, each time with the same salt, and lets nobody in.
    @Test func decoyKeys() {
        let keys = SCRAMKeys.decoy(login: bytes("nobody"), seed: [1, 2, 3])
        #expect(keys == SCRAMKeys.decoy(login: bytes("nobody"), seed: [1, 2, 3]))
        #expect(keys.salt != SCRAMKeys.decoy(login: bytes("nobodz"), seed: [1, 2, 3]).salt)
        #expect(keys.salt.count == 16 && keys.storedKey.count == 32)
    }

    @Test(arguments: Mechanism.allCases.filter { $0 != .apop })
    func bothSidesMeet(_ mechanism: Mechanism) throws {
        let (login, secret) = (bytes("j,ö=e@example.org"), bytes("pässword, =="))
        let keys = try #require(SCRAMKeys.derive(password: secret, salt: [9], iterations: 4096))
        var client = ClientExchange(mechanism, login: login, password: secret, nonce: [1, 2, 3])
        var server = ServerExchange(mechanism, binding: bytes("<1.2@host>"))
        var action = server.begun(initial: client.initialResponse())
        for _ in 0..<6 {
            switch action {
            case .challenge(let challenge):
                guard case .respond(let response) = client.challengeReceived(challenge) else { return #expect(Bool(false), "abandoned") }
                action = server.responseReceived(response)
            case .judge(.password(let name, let word)): action = server.claimJudged(isTrue: name == login && word == secret)
            case .judge(.digest(let digest)): action = server.claimJudged(isTrue: digest.login == login && digest.isMade(with: secret))
            case .findKeys(let name):
                #expect(name == login)
                action = server.keysFound(keys)
            case .succeed(let name, let final):
                #expect(name == login && client.successReceived(final))
                return
            case .fail(let failure):
                Issue.record("\(failure)")
                return
            }
        }
        Issue.record("no end")
    }

    /// Whatever comes, in whatever order: no crash, and nothing follows an end.
    @Test func anyMessages() {
        var seed: UInt64 = 0x5A51
        func random(_ bound: UInt64) -> UInt64 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (seed >> 33) % bound
        }
        let alphabet = bytes("\0,=nrcpaby 2CD3 \u{FF}ö") + [0xFF, 0x80]
        for _ in 0..<20_000 {
            let mechanism = Mechanism.allCases[Int(random(5))]
            var exchange = ServerExchange(mechanism, binding: bytes("x"))
            var ended = false
            for step in 0..<4 {
                let message = (0..<random(24)).map { _ in alphabet[Int(random(UInt64(alphabet.count)))] }
                let action =
                    switch random(6) {
                    case 0: exchange.claimJudged(isTrue: false)
                    case 1: exchange.keysFound(SCRAMKeys.decoy(login: message, seed: []))
                    default: step == 0 ? exchange.begun(initial: random(3) == 0 ? nil : message) : exchange.responseReceived(message)
                    }
                if ended { #expect(action == .fail(.malformed) || action == .fail(.credentials)) }
                if case .fail = action { ended = true }
                if case .succeed = action { Issue.record("let in") }
            }
        }
    }
}
