/// What a connection must be before mail goes over it.
package struct ConnectionDemand {
    package enum TLS: Sendable {
        case never
        /// Where the server offers it; then it must come about.
        case ifOffered
        case always
    }

    package let tls: TLS
    /// TLS was there before the greeting.
    package let beginsWithTLS: Bool
    /// Who we are to the server; nil: nobody.
    package let login: (any LoginExchange)?

    package init(tls: TLS = .never, beginsWithTLS: Bool = false, login: (any LoginExchange)? = nil) {
        self.tls = tls
        self.beginsWithTLS = beginsWithTLS
        self.login = login
    }
}

/// A login (RFC 4954) as the dialogue sees it. What is said in it is for SASL to know, and everything is without base64 here.
package protocol LoginExchange {
    /// - Returns: the mechanism, and what goes with its name; nil when none of those that the server offers will do.
    mutating func begin(offered: [[UInt8]]) -> (mechanism: [UInt8], initialResponse: [UInt8]?)?
    /// - Returns: nil to give up.
    mutating func challengeReceived(_ challenge: [UInt8]) -> [UInt8]?
    /// The server is content.
    /// - Returns: whether it has shown all that it had to.
    func succeeded() -> Bool
}
