private import Bytes
package import Checkpassword

/// The AUTHORIZATION state of POP3 (RFC 1939 §4) as a value: greeting, STLS, and logins by USER and PASS, APOP or AUTH. Whether they are right is an
/// input.
///
/// Module `POP3` must not know sockets, accounts or Maildirs. What holds: nothing that came before TLS is acted on within it, no login is taken without
/// TLS unless the offer says so, and one with a NUL in it is never passed on.
package struct AuthorizationSession {
    package enum Action: Equatable {
        /// To the client.
        case send([UInt8])
        /// Is this login right? Answered by ``checked(_:)``. Nothing is read meanwhile. Classic profile only.
        case check(Credentials)
        /// Begin a login: a SASL mechanism, or ``OfferedLogins/apop`` with `login SP digest` over the timestamp; answered by ``answered(_:)``.
        case begin(mechanism: String, initial: [UInt8]?)
        /// The client's answer to a challenge; answered by ``answered(_:)``.
        case respond([UInt8])
        /// The client has given the login up.
        case cancel
        /// Begin TLS once everything is sent; answered by ``tlsStarted()``.
        case startTLS
        /// The client is in: its mailbox goes on with the conversation, at first with what the client has said already. Answered by
        /// ``mailboxFailed()`` when it says nothing.
        case open(said: [UInt8])
        /// Close the connection once everything is sent. Nothing more comes.
        case close
    }

    /// What the program said that a classic session asks.
    package enum Verdict: Sendable {
        /// The client has been served by somebody else meanwhile, as by qmail-popup's program: nothing is left to say.
        case served
        case denied
        /// Who should have said it died.
        case crashed
        /// No room for such a question now.
        case cannotAsk(String)
    }

    package enum Answer: Equatable, Sendable {
        case challenge([UInt8])
        /// - final: what the mechanism says with its success; a last challenge, since POP3 has no place for it (RFC 5034 §4).
        case success(final: [UInt8])
        case failure(Refusal)
    }

    package enum Refusal: Sendable {
        /// Unknown user and wrong password alike.
        case credentials
        case temporary
        /// Too many failures from there, or for that account.
        case throttled
        /// Not offered for this account.
        case mechanism
        case encryptionNeeded
        /// What the client sent is nothing of that mechanism.
        case malformed
    }

    package struct Limits: Sendable {
        /// Failed logins; then the connection ends.
        package var failures = 3
        /// Unknown commands; then the connection ends: what speaks another protocol here must not get to a line that is one of ours.
        package var unknownCommands = 3
        /// Of all kinds; then the connection ends: whoever logs in needs a few.
        package var commands = 100

        package init() {}
    }

    enum State {
        case waiting
        /// The program of a classic session has the word.
        case checking
        /// Auth has it.
        case asking
        /// The client has it.
        case challenged
        /// It is right; the client has yet to take note of what the mechanism says with it.
        case confirming
        case startingTLS
        case opening
        case closed
    }

    let profile: Profile
    let offer: OfferedLogins
    let limits: Limits
    private let host: [UInt8]
    /// `<PID.TIME@HOST>`: what an APOP digest is made over (RFC 1939 §7). The greeting holds it in the classic profile, and where APOP is offered.
    let timestamp: [UInt8]
    var state = State.waiting
    var isEncrypted: Bool
    var failures = 0
    private var unknownCommands = 0
    private var commands = 0
    var lines = CommandLines()
    var user: [UInt8]?
    var replies = Replies<Action>()

    /// As qmail-popup: whoever runs it asks ``Action/check(_:)``. It has no STLS itself.
    package init(classic timestamp: [UInt8], offersTLS: Bool = false) {
        self.init(.classic, OfferedLogins(needsTLS: false, startsTLS: offersTLS), Limits(), host: [], timestamp: timestamp, isEncrypted: false)
    }

    /// - Parameters:
    ///   - host: what the server calls itself.
    ///   - isEncrypted: TLS began with the connection.
    package init(_ offer: OfferedLogins, _ limits: Limits = Limits(), host: [UInt8], timestamp: [UInt8], isEncrypted: Bool) {
        self.init(.modern, offer, limits, host: host, timestamp: timestamp, isEncrypted: isEncrypted)
    }

    private init(_ profile: Profile, _ offer: OfferedLogins, _ limits: Limits, host: [UInt8], timestamp: [UInt8], isEncrypted: Bool) {
        self.profile = profile
        self.offer = offer
        self.limits = limits
        self.host = host
        self.timestamp = timestamp
        self.isEncrypted = isEncrypted
    }

    /// False while more input would only be held.
    package var wantsInput: Bool { lines.count < CommandLines.maxHeld }

    // MARK: Events

    /// The client has connected; with TLS from the first byte, that stands.
    package mutating func opened() -> [Action] {
        switch profile {
        case .classic: say("+OK \(timestamp.text)")
        case .modern: say("+OK \(host.text) POP3" + (offer.mechanisms.contains(OfferedLogins.apop) ? " \(timestamp.text)" : ""))
        }
        return takeActions()
    }

    package mutating func bytesReceived(_ bytes: some Collection<UInt8>) -> [Action] {
        lines.append(bytes)
        process()
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

    /// Answers ``Action/begin(mechanism:initial:)`` and ``Action/respond(_:)``.
    package mutating func answered(_ answer: Answer) -> [Action] {
        guard case .asking = state else { return [] }
        switch answer {
        case .challenge(let bytes):
            challenge(bytes)
            state = .challenged
        case .success(let final) where final.isEmpty: open()
        case .success(let final):
            challenge(final)
            state = .confirming
        case .failure(let refusal): refuse(refusal)
        }
        process()
        return takeActions()
    }

    /// Answers ``Action/startTLS``. What the client said before counts no more.
    package mutating func tlsStarted() -> [Action] {
        guard case .startingTLS = state else { return [] }
        state = .waiting
        isEncrypted = true
        user = nil
        return takeActions()
    }

    /// The mailbox ended without a word.
    package mutating func mailboxFailed() -> [Action] {
        guard case .opening = state else { return [] }
        say("-ERR [SYS/TEMP] the mailbox cannot be opened now")
        close()
        return takeActions()
    }

    /// The client was silent for too long, or has not logged in in time.
    package mutating func timedOut() -> [Action] {
        if case .closed = state { return [] }
        say("-ERR timeout")
        close()
        return takeActions()
    }

    // MARK: Commands

    private mutating func process() {
        while true {
            switch state {
            case .waiting: guard take(CommandLines.maxBytes, { $0.handle(Command($1)) }) else { return }
            case .challenged: guard take(CommandLines.maxResponseBytes, { $0.takeResponse($1) }) else { return }
            case .confirming: guard take(CommandLines.maxResponseBytes, { $0.takeConfirmation($1) }) else { return }
            case .checking, .asking, .startingTLS, .opening, .closed: return
            }
        }
    }

    /// - Returns: false when there is no line yet.
    private mutating func take(_ maxBytes: Int, _ body: (inout Self, ArraySlice<UInt8>) -> Void) -> Bool {
        switch lines.next(maxBytes) {
        case .line(let line)?: body(&self, line)
        case .tooLong?:
            say("-ERR line too long")
            close()
        case nil: return false
        }
        return true
    }

    private mutating func handle(_ command: Command) {
        commands += 1
        guard commands <= limits.commands || profile == .classic else {
            say("-ERR too many commands")
            return close()
        }
        switch (command.verb, profile) {
        case ("user", _): takeUser(command.argument)
        case ("pass", _): takePassword(command.argument)
        case ("apop", .classic): takeDigest(command.argument)
        case ("apop", .modern) where offer.mechanisms.contains(OfferedLogins.apop): takeDigest(command.argument)
        case ("stls", .classic) where offer.startsTLS && !isEncrypted, ("stls", .modern): startTLS()
        case ("noop", .classic): say("+OK ")
        case ("quit", _):
            say("+OK ")
            close()
        case ("auth", .modern): takeMechanism(command.argument)
        case ("capa", .modern): replies.say(list: Capabilities.lines(offer, isEncrypted: isEncrypted))
        case ("utf8", .modern): say("+OK ")
        case ("lang", .modern): Language.take(command.argument, &replies)
        case (_, .classic): say("-ERR authorization first")
        case (_, .modern): takeUnknown()
        }
    }

    private mutating func takeUnknown() {
        unknownCommands += 1
        say("-ERR not before the login")
        if unknownCommands >= limits.unknownCommands { close() }
    }

    /// What has come behind the command was not sent within TLS: whoever sent it (CVE-2011-0411).
    private mutating func startTLS() {
        guard !isEncrypted else { return say("-ERR TLS is in use") }
        guard offer.startsTLS else { return say("-ERR [SYS/PERM] TLS is not available") }
        guard lines.count == 0 else {
            say("-ERR nothing may follow STLS")
            return close()
        }
        say("+OK begin TLS negotiation")
        state = .startingTLS
        replies.add(.startTLS)
    }

    // MARK: Output

    mutating func say(_ line: String) { replies.say(line) }

    mutating func close() {
        state = .closed
        replies.add(.close)
    }

    private mutating func takeActions() -> [Action] { replies.take { .send($0) } }
}
