import Bytes
import SASL
import Testing

/// The examples of the RFCs.
struct ClientExchangeTests {
    @Test func plain() {
        var exchange = ClientExchange(.plain, login: bytes("tim"), password: bytes("tanstaaftanstaaf"), nonce: [])
        #expect(exchange.initialResponse() == bytes("\0tim\0tanstaaftanstaaf"))
        #expect(exchange.successReceived())
        #expect(exchange.challengeReceived([]) == .abandon)
    }

    @Test func login() {
        var exchange = ClientExchange(.login, login: bytes("tim"), password: bytes("secret"), nonce: [])
        #expect(exchange.initialResponse() == nil)
        #expect(exchange.challengeReceived(bytes("Username:")) == .respond(bytes("tim")))
        #expect(!exchange.successReceived())
        #expect(exchange.challengeReceived(bytes("Password:")) == .respond(bytes("secret")))
        #expect(exchange.successReceived())
    }

    /// RFC 2195 §2.
    @Test func cramMD5() {
        var exchange = ClientExchange(.cramMD5, login: bytes("tim"), password: bytes("tanstaaftanstaaf"), nonce: [])
        #expect(exchange.initialResponse() == nil)
        #expect(
            exchange.challengeReceived(bytes("<1896.697170952@postoffice.reston.mci.net>"))
                == .respond(bytes("tim b913a602c7eda7a495b4e6e7334d3890")))
        #expect(exchange.successReceived())
    }

    private static let serverFirst = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    private static let serverFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

    /// RFC 7677 §3.
    private func scram(_ first: String = serverFirst) throws -> (ClientExchange, ClientExchange.Action) {
        let nonce = try #require(Base64.decode(bytes("rOprNGfwEbeRWgbNEkqO")))
        var exchange = ClientExchange(.scramSHA256, login: bytes("user"), password: bytes("pencil"), nonce: nonce)
        #expect(exchange.initialResponse() == bytes("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
        let action = exchange.challengeReceived(bytes(first))
        return (exchange, action)
    }

    @Test func scramSHA256() throws {
        var (exchange, action) = try scram()
        #expect(
            action
                == .respond(
                    bytes("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")))
        #expect(exchange.successReceived(bytes(Self.serverFinal)))
        #expect(!exchange.successReceived())
        #expect(!exchange.successReceived(bytes("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")))
        #expect(!exchange.successReceived(bytes("e=invalid-proof")))
        #expect(exchange.challengeReceived(bytes(Self.serverFinal)) == .respond([]))
        #expect(exchange.successReceived())
    }

    @Test(arguments: [
        "", "r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096", "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4294967295", "m=must,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    ])
    func serversThatAreNotBelieved(_ first: String) throws { #expect(try scram(first).1 == .abandon) }

    @Test(arguments: [
        ("PLAIN login", false, nil), ("plain LOGIN", true, Mechanism.plain), ("LOGIN CRAM-MD5", false, .cramMD5),
        ("PLAIN SCRAM-SHA-256 CRAM-MD5", true, .scramSHA256), ("GSSAPI APOP", true, nil),
    ])
    func choice(_ offered: String, _ isEncrypted: Bool, _ expected: Mechanism?) {
        #expect(ClientExchange.choose(from: offered.split(separator: " ").map { Array($0.utf8) }, isEncrypted: isEncrypted) == expected)
    }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
