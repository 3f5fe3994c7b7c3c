package import Addresses

// What a session asks of whoever drives it, and what it has to be told.
extension Session {
    package enum Action: Equatable {
        /// To the client. At most one for an event, before all others.
        case send([UInt8])
        /// Ask who this is; answered by ``routeAnswered(_:_:)``.
        case askRoute(Address)
        /// Ask the program of RCPTCHECK; answered by ``checkAnswered(_:_:)``.
        case checkRecipient(sender: Address, recipient: Address, helo: [UInt8])
        /// A message begins.
        case begin
        /// More of it, with LF line ends.
        case content([UInt8])
        /// All of it was said; answered by ``queueAnswered(_:_:)``.
        case commit(Envelope)
        /// It is not to be kept.
        case abort
        /// From here on the connection is encrypted; answered by ``tlsBegan(_:)``.
        case startTLS
        /// Let auth decide who this is; answered by ``loginAnswered(_:_:)``.
        case beginLogin(mechanism: String, initial: [UInt8]?)
        /// What the client says to a challenge; answered likewise.
        case continueLogin([UInt8])
        case cancelLogin
        /// Ask whether the account may send with this sender; answered by ``permissionAnswered(_:_:)``.
        case askPermission(Address)
        /// The account's message was accepted.
        case noteSent(recipients: Int, qp: UInt64)
        /// The account has reached a limit.
        case noteLimit
        /// Close the connection once everything is sent. Nothing more comes.
        case close
    }

    /// What the world is like when an event happens.
    package struct Moment: Sendable {
        /// Seconds since 1970.
        package var time: UInt64
        /// Whether a message could be handed to the queue now.
        package var queueIsReachable: Bool
        /// Whether TLS could begin now.
        package var tlsIsReady: Bool
        package init(time: UInt64, queueIsReachable: Bool = true, tlsIsReady: Bool = false) {
            self.time = time
            self.queueIsReachable = queueIsReachable
            self.tlsIsReady = tlsIsReady
        }
    }

    package enum RecipientVerdict: Sendable {
        case exists
        /// Only delivery will tell, or no answer came in time.
        case unknown
        case nonexistent
    }

    /// For deadlines: whose turn it is.
    package enum Phase: Sendable {
        case command
        case message
        /// Route or queue owe an answer, or a TLS handshake is under way.
        case waiting
        /// So does auth; whoever has closed his side by then is not waited for.
        case login
        case closed
    }
}
