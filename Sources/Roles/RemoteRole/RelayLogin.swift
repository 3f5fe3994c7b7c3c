private import SASL
internal import SMTPClient

/// Our login at a relay, by the best mechanism that it offers. That the password may be shown to the relay at all is the route's to decide.
struct RelayLogin: LoginExchange {
    private let user: [UInt8]
    private let password: [UInt8]
    private var exchange: ClientExchange?

    init(user: [UInt8], password: [UInt8]) {
        self.user = user
        self.password = password
    }

    mutating func begin(offered: [[UInt8]]) -> (mechanism: [UInt8], initialResponse: [UInt8]?)? {
        guard let mechanism = ClientExchange.choose(from: offered, isEncrypted: true) else { return nil }
        var random = SystemRandomNumberGenerator()
        let nonce = (0..<ClientExchange.nonceBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
        var exchange = ClientExchange(mechanism, login: user, password: password, nonce: nonce)
        let initial = exchange.initialResponse()
        self.exchange = exchange
        return (Array(mechanism.rawValue.utf8), initial)
    }

    mutating func challengeReceived(_ challenge: [UInt8]) -> [UInt8]? {
        guard case .respond(let response) = exchange?.challengeReceived(challenge) else { return nil }
        return response
    }

    func succeeded() -> Bool { exchange?.successReceived() == true }
}
