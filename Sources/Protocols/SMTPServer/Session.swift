internal import Addresses
private import Bytes
package import MessageHeader
package import Reception

/// The server side of one SMTP session as a value: bytes and answers in, actions out. It does no I/O, never throws, and its clock comes from outside.
///
/// Commands are taken in order; while route or queue owe an answer, what the client has sent on (RFC 2920) waits in ``held``.
/// Whatever came behind STARTTLS is refused with the connection: nothing that was said in clear counts as said inside TLS (RFC 3207 §4.2). So is what
/// came behind AUTH before its answer: it was said for another state.
///
/// It must not know sockets, files or DNS: whether a recipient exists and what the queue says are inputs. What holds: a message is committed only
/// as a whole and acknowledged only after the queue's answer; only CRLF.CRLF or the last chunk ends it; nothing that a client sends stops the
/// process.
package struct Session: ~Copyable {
    enum State {
        /// No MAIL yet, or a transaction has ended.
        case idle
        case mail(Transaction)
        /// Route is asked about this recipient.
        case checking(Transaction, Address)
        /// The program of RCPTCHECK is asked about this recipient.
        case verifying(Transaction, Address)
        case data(Transfer)
        /// Between two chunks of BDAT.
        case chunked(Transfer)
        case chunk(Transfer, remaining: UInt64, isLast: Bool)
        /// Bytes of a chunk nobody wants, then the reply that says why (RFC 3030 §2: they come whatever was answered before).
        indirect case refusedChunk(remaining: UInt64, Reply, after: State)
        case awaitingQueue(Transaction)
        /// Auth is asked whether the account may send this; what was before stays if not.
        indirect case permitting(Transaction, before: State)
        /// Auth owes an answer.
        case loggingIn
        /// The client owes one, to a challenge.
        case responseDue
        /// An empty line of the client is due, then this account has logged in.
        case confirmationDue([UInt8])
        /// STARTTLS was the last that came in clear.
        case startingTLS
        case handshaking(greets: Bool)
        case closed
    }

    let profile: Profile
    let service: Service
    let limits: Limits
    let policy: Policy
    package private(set) var client: Client
    /// STARTTLS was offered, and may still be asked for when TLS is not ready any more.
    var hasOfferedTLS = false
    /// Whether lists have this client is not known yet: no recipient is taken before ``listsAnswered(_:_:)``.
    package var awaitsLists = false
    /// Why this client's mail is not taken.
    var listing: Reply?
    let logins: LoginOffer
    /// Of messages of those who have logged in.
    let completion: HeaderCompletion?
    /// Who has logged in.
    var account: [UInt8]?
    var failedLogins = 0

    var state = State.idle
    /// Input after what was handled: the start of a line, or all that follows a question still open.
    private var held: ArraySlice<UInt8> = []
    /// Counts MAIL commands that were accepted: a pipelining client begins one transaction in the moment another ends.
    package private(set) var transactions: UInt64 = 0
    /// Bytes of an overlong line dropped so far.
    private var skipped = 0
    var helo: [UInt8] = []
    private var errors = 0
    var junk = 0
    private var isShuttingDown = false
    private var output: [UInt8] = []
    var actions: [Action] = []

    /// The client ended the session itself, with QUIT.
    package internal(set) var hasQuit = false

    /// Commands handled so far: deadlines start again with each, not with each byte.
    package private(set) var commands: UInt64 = 0

    package init(
        _ profile: Profile, _ limits: Limits, _ policy: Policy, _ client: Client, service: Service = .smtp, logins: LoginOffer = .none,
        completion: HeaderCompletion? = nil
    ) {
        self.logins = logins
        self.completion = completion
        self.profile = profile
        self.service = service
        self.limits = limits
        self.policy = policy
        self.client = client
        listing = service == .smtp ? client.listText.flatMap(Reply.init(rblsmtpd:)) : nil
    }

    package var progress: Deadlines.Progress {
        .init(phase: phase, commands: commands, isInTransaction: isInTransaction, transactions: transactions)
    }

    package var phase: Phase {
        switch state {
        case .mail where awaitsLists: .waiting
        case .idle, .mail, .chunked, .responseDue, .confirmationDue: .command
        case .data, .chunk, .refusedChunk: .message
        case .checking, .verifying, .awaitingQueue, .permitting, .startingTLS, .handshaking: .waiting
        case .loggingIn: .login
        case .closed: .closed
        }
    }

    /// From MAIL until the reply to the message.
    package var isInTransaction: Bool {
        switch state {
        case .idle, .loggingIn, .responseDue, .confirmationDue, .startingTLS, .handshaking, .closed: false
        case .refusedChunk(_, _, .idle): false
        default: true
        }
    }

    /// False while more input would only be held.
    package var wantsInput: Bool { held.count < limits.heldInput }

    // MARK: Events

    /// The client has connected.
    package mutating func opened() -> [Action] {
        reply(Reply(220, nil, lines: [policy.greeting + Array(" \(service.greetingWord)".utf8)]))
        return takeActions()
    }

    /// The client has connected where TLS comes first (RFC 8314 §3).
    package mutating func openedForTLS() -> [Action] {
        state = .handshaking(greets: true)
        actions.append(.startTLS)
        return takeActions()
    }

    /// Answers ``Action/startTLS``. The client begins anew: nothing is left of what it said before (RFC 3207 §4.2).
    package mutating func tlsBegan(_ details: TLSDetails) -> [Action] {
        guard case .handshaking(let greets) = state else { return [] }
        state = .idle
        client.tls = details
        helo = []
        account = nil
        return greets ? opened() : takeActions()
    }

    package mutating func bytesReceived(_ bytes: UnsafeRawBufferPointer, _ moment: Moment) -> [Action] {
        if held.isEmpty {
            let consumed = process(bytes, moment)
            if consumed < bytes.count { held = Array(bytes[consumed...])[...] }
        } else {
            held.append(contentsOf: bytes)
            processHeld(moment)
        }
        return takeActions()
    }

    package mutating func bytesReceived(_ bytes: [UInt8], _ moment: Moment) -> [Action] {
        bytes.withUnsafeBytes { bytesReceived($0, moment) }
    }

    /// Answers ``Action/askRoute(_:)``.
    package mutating func routeAnswered(_ verdict: RecipientVerdict, _ moment: Moment) -> [Action] {
        guard case .checking(let transaction, let recipient) = state else { return [] }
        state = .mail(transaction)
        if verdict == .nonexistent { refuse(.noMailbox) } else { verify(recipient, transaction) }
        return goOn(moment)
    }

    /// After an answer: with what the client has sent meanwhile.
    mutating func goOn(_ moment: Moment) -> [Action] {
        processHeld(moment)
        return takeActions()
    }

    /// Answers ``Action/beginLogin(mechanism:initial:)`` and ``Action/continueLogin(_:)``.
    package mutating func loginAnswered(_ answer: LoginAnswer, _ moment: Moment) -> [Action] {
        guard case .loggingIn = state else { return [] }
        switch answer {
        case .challenge(let bytes):
            state = .responseDue
            challenge(bytes)
        case .success(let account, let final) where final.isEmpty: logIn(account)
        case .success(let account, let final):
            state = .confirmationDue(account)
            challenge(final)
        case .failure(let refusal): refuseLogin(refusal)
        }
        return takeActions()
    }

    /// Answers ``Action/askPermission(_:)``.
    package mutating func permissionAnswered(_ permission: Permission, _ moment: Moment) -> [Action] {
        guard case .permitting(let transaction, let before) = state else { return [] }
        state = before
        switch permission {
        case .granted(let recipients):
            transaction.allowedRecipients = recipients
            begin(transaction)
        case .foreignSender: refuse(.foreignSender)
        case .limitReached: refuseForLimit()
        case .unavailable: refuse(.permissionUnknown)
        }
        processHeld(moment)
        return takeActions()
    }

    /// Answers ``Action/commit``; a refusal may come at any time after ``Action/begin(_:)``.
    package mutating func queueAnswered(_ answer: QueueAnswer, _ moment: Moment) -> [Action] {
        switch state {
        // Neither a yes nor a no would be true: the client sees a lost connection and tries again, at worst the message comes twice.
        case .awaitingQueue where answer == .lost: drop()
        case .awaitingQueue(let transaction):
            state = .idle
            if case .accepted(_, let qp) = answer {
                errors = 0
                junk = 0
                if account != nil { actions.append(.noteSent(recipients: transaction.recipients.count, qp: qp)) }
            }
            reply(Session.reply(to: answer), for: transaction)
            processHeld(moment)
        case .data(var transfer):
            transfer.refused(answer)
            state = .data(transfer)
        case .chunked(var transfer):
            transfer.refused(answer)
            state = .chunked(transfer)
        case .chunk(var transfer, let remaining, let isLast):
            transfer.refused(answer)
            state = .chunk(transfer, remaining: remaining, isLast: isLast)
        case .permitting(let transaction, before: .chunked(var transfer)):
            transfer.refused(answer)
            state = .permitting(transaction, before: .chunked(transfer))
        case .idle, .mail, .checking, .verifying, .refusedChunk, .permitting, .loggingIn, .responseDue, .confirmationDue, .startingTLS, .handshaking,
            .closed:
            break
        }
        return takeActions()
    }

    /// The client was too slow (``Deadlines``).
    package mutating func timedOut() -> [Action] {
        close(with: .timeout)
        return takeActions()
    }

    /// The process is ending: a transaction may finish, then, or at once without one, the client is told.
    package mutating func shutdownBegan() -> [Action] {
        isShuttingDown = true
        return takeActions()
    }

    /// No more time is left.
    package mutating func shutdownEnded() -> [Action] {
        // A message that was committed may be kept: a no would bring it twice.
        if case .awaitingQueue = state { drop() } else { close(with: .shuttingDown) }
        return takeActions()
    }

    /// The connection is gone; what was not committed is not kept.
    package mutating func clientEnded() -> [Action] {
        abandonMessage()
        state = .closed
        held = []
        return takeActions()
    }

    mutating func transactionBegan() { transactions &+= 1 }

    package var isEncrypted: Bool { client.tls != nil }

    // MARK: Input

    private mutating func processHeld(_ moment: Moment) {
        guard !held.isEmpty else { return }
        let input = held
        held = []
        let consumed = input.withUnsafeBytes { process($0, moment) }
        held = input.dropFirst(consumed)
    }

    /// Handles what can be handled now and says how much that was.
    private mutating func process(_ input: UnsafeRawBufferPointer, _ moment: Moment) -> Int {
        var position = 0
        while position < input.count {
            let rest = UnsafeRawBufferPointer(rebasing: input[position...])
            switch state {
            case .closed: return input.count
            case .idle where isShuttingDown: close(with: .shuttingDown)
            case .checking, .verifying, .awaitingQueue, .permitting: return position
            case .mail where awaitsLists: return position
            case .loggingIn: close(with: .inputBeforeLogin)
            case .startingTLS: close(with: .inputBeforeTLS)
            case .handshaking: drop()
            case .data(let transfer): position += receive(data: rest, transfer)
            case .chunk(let transfer, let remaining, let isLast): position += receive(chunk: rest, transfer, remaining, isLast)
            case .refusedChunk(let remaining, let reply, let after): position += skip(chunk: rest, remaining, reply, after)
            case .idle, .mail, .chunked, .responseDue, .confirmationDue:
                let consumed = receive(line: rest, moment)
                guard consumed > 0 else { return position }
                position += consumed
            }
        }
        return position
    }

    /// A command line ends at LF; one CR before it is dropped (spec-qmail §13.2). Returns 0 when more is needed.
    private mutating func receive(line input: UnsafeRawBufferPointer, _ moment: Moment) -> Int {
        let limit = lineLimit(input)
        let window = min(input.count, limit + 2)
        var end = 0
        while end < window, input[end] != ASCII.lf { end += 1 }
        guard end < window else {
            // The one byte that could still become a CR before the LF does not make it too long.
            guard window > limit + 1 || skipped > 0 else { return 0 }
            skipped += window
            if skipped - limit > limits.skippedLine { close(with: .tooMuchJunk) }
            return window
        }
        var line = Array(input[..<end])
        if line.last == ASCII.cr { line.removeLast() }
        commands &+= 1
        if skipped > 0 || line.count > limit {
            skipped = 0
            if case .responseDue = state { giveUpLogin(.loginLineTooLong) } else { refuse(.lineTooLong) }
        } else {
            handle(line, moment)
        }
        return end + 1
    }

    /// Lines of AUTH may be longer than others.
    private func lineLimit(_ line: UnsafeRawBufferPointer) -> Int {
        if case .responseDue = state { return limits.loginLine }
        return mayLogIn && line.prefix(5).hasPrefixIgnoringCase("auth ") ? limits.loginLine : limits.commandLine
    }

    // MARK: Replies

    mutating func reply(_ reply: Reply) {
        if case .closed = state { return }
        reply.encode(into: &output, for: profile)
    }

    /// What became of a message: LMTP says it once for each recipient that was taken (RFC 2033 §4.2).
    mutating func reply(_ outcome: Reply, for transaction: Transaction) {
        for _ in 0..<(service == .lmtp ? transaction.recipients.count : 1) { reply(outcome) }
    }

    /// A reply to a command that does no work; too many of them end the session.
    mutating func junk(_ answer: Reply) {
        junk += 1
        if junk > limits.junkCommands { close(with: .tooMuchJunk) } else { reply(answer) }
    }

    /// A refusal; too many permanent ones end the session.
    /// - Parameter transaction: what was refused is its message.
    mutating func refuse(_ refusal: Reply, for transaction: Transaction? = nil) {
        if refusal.isPermanentFailure { errors += 1 }
        if errors > limits.errors { return close(with: .tooManyErrors) }
        if let transaction { reply(refusal, for: transaction) } else { reply(refusal) }
    }

    mutating func close(with last: Reply) {
        if case .closed = state { return }
        if case .handshaking = state { return drop() }
        reply(last)
        abandonMessage()
        state = .closed
        held = []
        actions.append(.close)
    }

    /// Closes without a word.
    private mutating func drop() {
        state = .closed
        held = []
        actions.append(.close)
    }

    private mutating func takeActions() -> [Action] {
        if isShuttingDown, !isInTransaction { close(with: .shuttingDown) }
        if case .startingTLS = state {
            reply(.readyForTLS)
            state = .handshaking(greets: false)
            actions.append(.startTLS)
        }
        defer {
            output = []
            actions = []
        }
        return output.isEmpty ? actions : [.send(output)] + actions
    }
}
