private import Bytes
package import Checkpassword

/// The AUTHORIZATION state of POP3 (RFC 1939 §4) as a value: greeting, USER and PASS or APOP, and one attempt. Whether they are right is an input.
///
/// Module `POP3` must not know sockets, accounts or Maildirs. What holds: nothing that came before TLS is acted on within it, and a login with a NUL in
/// it is never passed on.
package struct AuthorizationSession {
    package enum Action: Equatable {
        /// To the client.
        case send([UInt8])
        /// Is this login right? Answered by ``checked(_:)``. Nothing is read meanwhile.
        case check(Credentials)
        /// Begin TLS once everything is sent; answered by ``tlsStarted()``.
        case startTLS
        /// Close the connection once everything is sent. Nothing more comes.
        case close
    }

    package enum Verdict: Sendable {
        /// The client has been served by somebody else meanwhile, as by qmail-popup's program: nothing is left to say.
        case served
        case denied
        /// Who should have said it died.
        case crashed
        /// No room for such a question now.
        case cannotAsk(String)
    }

    private enum State {
        case waiting
        case checking
        case startingTLS
        case closed
    }

    /// `<PID.TIME@HOST>`: the greeting, and what an APOP digest is made over (RFC 1939 §7).
    private let timestamp: [UInt8]
    /// STLS (RFC 2595 §4) can be had. qmail-popup has it not.
    private var offersTLS: Bool
    private var state = State.waiting
    private var lines = CommandLines()
    private var user: [UInt8]?
    private var replies = Replies<Action>()

    package init(timestamp: [UInt8], offersTLS: Bool = false) {
        self.timestamp = timestamp
        self.offersTLS = offersTLS
    }

    // MARK: Events

    /// The client has connected.
    package mutating func opened() -> [Action] {
        say("+OK \(timestamp.text)")
        return takeActions()
    }

    package mutating func bytesReceived(_ bytes: [UInt8]) -> [Action] {
        lines.append(bytes)
        while case .waiting = state, let line = lines.next() {
            switch line {
            case .line(let line): handle(Command(line))
            case .tooLong:
                say("-ERR line too long")
                close()
            }
        }
        return takeActions()
    }

    /// Answers ``Action/check(_:)``.
    package mutating func checked(_ verdict: Verdict) -> [Action] {
        guard case .checking = state else { return [] }
        switch verdict {
        case .served: break
        case .denied: say("-ERR authorization failed")
        case .crashed: say("-ERR aack, child crashed")
        case .cannotAsk(let why): say("-ERR \(why)")
        }
        close()
        return takeActions()
    }

    /// Answers ``Action/startTLS``. What the client said before counts no more.
    package mutating func tlsStarted() -> [Action] {
        guard case .startingTLS = state else { return [] }
        state = .waiting
        offersTLS = false
        user = nil
        return takeActions()
    }

    // MARK: Commands

    private mutating func handle(_ command: Command) {
        switch command.verb {
        case "user": takeUser(command.argument)
        case "pass": takePassword(command.argument)
        case "apop": takeDigest(command.argument)
        case "stls" where offersTLS: startTLS()
        case "noop": say("+OK ")
        case "quit":
            say("+OK ")
            close()
        default: say("-ERR authorization first")
        }
    }

    private mutating func takeUser(_ argument: ArraySlice<UInt8>) {
        guard !argument.isEmpty else { return say("-ERR syntax error") }
        user = Array(argument)
        say("+OK ")
    }

    private mutating func takePassword(_ argument: ArraySlice<UInt8>) {
        guard let user else { return say("-ERR USER first") }
        guard !argument.isEmpty else { return say("-ERR syntax error") }
        check(user, Array(argument))
    }

    private mutating func takeDigest(_ argument: ArraySlice<UInt8>) {
        guard let space = argument.firstIndex(of: ASCII.space) else { return say("-ERR syntax error") }
        check(Array(argument[..<space]), Array(argument[(space + 1)...]))
    }

    private mutating func check(_ login: [UInt8], _ password: [UInt8]) {
        guard let credentials = Credentials(login: login, password: password, timestamp: timestamp) else { return say("-ERR syntax error") }
        state = .checking
        replies.add(.check(credentials))
    }

    /// What has come behind the command was not sent within TLS: whoever sent it (CVE-2011-0411).
    private mutating func startTLS() {
        guard lines.count == 0 else {
            say("-ERR nothing may follow STLS")
            return close()
        }
        say("+OK begin TLS negotiation")
        state = .startingTLS
        replies.add(.startTLS)
    }

    // MARK: Output

    private mutating func say(_ line: String) { replies.say(line) }

    private mutating func close() {
        state = .closed
        replies.add(.close)
    }

    private mutating func takeActions() -> [Action] { replies.take { .send($0) } }
}
