/// How clients may log in (RFC 4954).
package struct LoginOffer: Equatable, Sendable {
    /// As registered, in the order of the reply to EHLO; none: there is no AUTH.
    package var mechanisms: [String]
    /// Also without TLS.
    package var isForClear: Bool

    package init(mechanisms: [String], isForClear: Bool = false) {
        self.mechanisms = mechanisms
        self.isForClear = isForClear
    }

    package static let none = LoginOffer(mechanisms: [])
}

extension Session {
    /// What came of a login that was begun: challenges, then one of the others.
    package enum LoginAnswer: Equatable, Sendable {
        case challenge([UInt8])
        /// - final: the last word of the mechanism, which SMTP carries as one more challenge (RFC 4954 §4).
        case success(account: [UInt8], final: [UInt8])
        case failure(LoginRefusal)
    }

    package enum LoginRefusal: Sendable {
        /// Unknown user and wrong password alike.
        case credentials
        case temporary
        /// Too many failures from there, or for that account.
        case throttled
        case mechanism
        case encryptionNeeded
        /// What the client sent is no message of the mechanism.
        case malformed
    }

    /// May the account send one more message, with this sender or to so many?
    package enum Permission: Equatable, Sendable {
        /// To so many recipients.
        case granted(recipients: Int)
        case foreignSender
        case limitReached
        /// Nobody can say.
        case unavailable
    }
}
