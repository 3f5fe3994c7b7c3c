package import Addresses
private import Bytes
package import Reception

/// The server side of one SMTP session as a value: bytes and answers in, actions out. It does no I/O, never throws, and its clock comes from outside.
///
/// Commands are taken in order; while route or queue owe an answer, what the client has sent on (RFC 2920) waits in ``held``.
/// Whatever came behind STARTTLS is refused with the connection: nothing that was said in clear counts as said inside TLS (RFC 3207 §4.2).
///
/// It must not know sockets, files or DNS: whether a recipient exists and what the queue says are inputs. What holds: a message is committed only
/// as a whole and acknowledged only after the queue's answer; only CRLF.CRLF or the last chunk ends it; nothing that a client sends stops the
/// process.
package struct Session: ~Copyable {
    package enum Action: Equatable {
        /// To the client. At most one for an event, before all others.
        case send([UInt8])
        /// Ask who this is; answered by ``routeAnswered(_:_:)``.
        case askRoute(Address)
        /// A message begins, to this sender and these recipients.
        case begin(Envelope)
        /// More of it, with LF line ends.
        case content([UInt8])
        /// All of it was said; answered by ``queueAnswered(_:_:)``.
        case commit
        /// It is not to be kept.
        case abort
        /// From here on the connection is encrypted; answered by ``tlsBegan(_:)``.
        case startTLS
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

    package enum QueueAnswer: Equatable, Sendable {
        case accepted(time: UInt64, qp: UInt64)
        /// Text and class of spec-qmail §3.2.
        case refused(isPermanent: Bool, text: String)
        /// There is no room for it now: RFC 5321 §4.2.3 has a code of its own for that, which qmail has not.
        case full(text: String)
        /// The queue went away. A message that was committed may be kept or not.
        case lost
    }

    /// For deadlines: whose turn it is.
    package enum Phase: Sendable {
        case command
        case message
        /// Route or queue owe an answer, or a TLS handshake is under way.
        case waiting
        case closed
    }

    enum State {
        /// No MAIL yet, or a transaction has ended.
        case idle
        case mail(Transaction)
        /// Route is asked about this recipient.
        case checking(Transaction, Address)
        case data(Transfer)
        /// Between two chunks of BDAT.
        case chunked(Transfer)
        case chunk(Transfer, remaining: UInt64, isLast: Bool)
        /// Bytes of a chunk nobody wants, then the reply that says why (RFC 3030 §2: they come whatever was answered before).
        indirect case refusedChunk(remaining: UInt64, Reply, after: State)
        case awaitingQueue
        /// STARTTLS was the last that came in clear.
        case startingTLS
        case handshaking(greets: Bool)
        case closed
    }

    let profile: Profile
    let limits: Limits
    let policy: Policy
    private(set) var client: Client
    /// STARTTLS was offered, and may still be asked for when TLS is not ready any more.
    var hasOfferedTLS = false

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

    package init(_ profile: Profile, _ limits: Limits, _ policy: Policy, _ client: Client) {
        self.profile = profile
        self.limits = limits
        self.policy = policy
        self.client = client
    }

    package var phase: Phase {
        switch state {
        case .idle, .mail, .chunked: .command
        case .data, .chunk, .refusedChunk: .message
        case .checking, .awaitingQueue, .startingTLS, .handshaking: .waiting
        case .closed: .closed
        }
    }

    /// From MAIL until the reply to the message.
    package var isInTransaction: Bool {
        switch state {
        case .idle, .startingTLS, .handshaking, .closed: false
        case .refusedChunk(_, _, .idle): false
        default: true
        }
    }

    /// False while more input would only be held.
    package var wantsInput: Bool { held.count < limits.heldInput }

    // MARK: Events

    /// The client has connected.
    package mutating func opened() -> [Action] {
        reply(Reply(220, nil, lines: [policy.greeting + Array(" ESMTP".utf8)]))
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
        if verdict == .nonexistent { refuse(.noMailbox) } else { accept(recipient) }
        processHeld(moment)
        return takeActions()
    }

    /// Answers ``Action/commit``; a refusal may come at any time after ``Action/begin(_:)``.
    package mutating func queueAnswered(_ answer: QueueAnswer, _ moment: Moment) -> [Action] {
        switch state {
        // Neither a yes nor a no would be true: the client sees a lost connection and tries again, at worst the message comes twice.
        case .awaitingQueue where answer == .lost: drop()
        case .awaitingQueue:
            state = .idle
            switch answer {
            case .accepted(let time, let qp):
                errors = 0
                junk = 0
                reply(Reply(250, "2.0.0", "ok \(time) qp \(qp)"))
            case .refused, .full, .lost: reply(Session.reply(to: answer))
            }
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
        case .idle, .mail, .checking, .refusedChunk, .startingTLS, .handshaking, .closed: break
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
            case .checking, .awaitingQueue: return position
            case .startingTLS: close(with: .inputBeforeTLS)
            case .handshaking: drop()
            case .data(let transfer): position += receive(data: rest, transfer)
            case .chunk(let transfer, let remaining, let isLast): position += receive(chunk: rest, transfer, remaining, isLast)
            case .refusedChunk(let remaining, let reply, let after): position += skip(chunk: rest, remaining, reply, after)
            case .idle, .mail, .chunked:
                let consumed = receive(line: rest, moment)
                guard consumed > 0 else { return position }
                position += consumed
            }
        }
        return position
    }

    /// A command line ends at LF; one CR before it is dropped (spec-qmail §13.2). Returns 0 when more is needed.
    private mutating func receive(line input: UnsafeRawBufferPointer, _ moment: Moment) -> Int {
        let window = min(input.count, limits.commandLine + 2)
        var end = 0
        while end < window, input[end] != ASCII.lf { end += 1 }
        guard end < window else {
            // The one byte that could still become a CR before the LF does not make it too long.
            guard window > limits.commandLine + 1 || skipped > 0 else { return 0 }
            skipped += window
            if skipped - limits.commandLine > limits.skippedLine { close(with: .tooMuchJunk) }
            return window
        }
        var line = Array(input[..<end])
        if line.last == ASCII.cr { line.removeLast() }
        commands &+= 1
        if skipped > 0 || line.count > limits.commandLine {
            skipped = 0
            refuse(.lineTooLong)
        } else {
            handle(line, moment)
        }
        return end + 1
    }

    // MARK: Replies

    mutating func reply(_ reply: Reply) {
        if case .closed = state { return }
        reply.encode(into: &output, for: profile)
    }

    /// A reply to a command that does no work; too many of them end the session.
    mutating func junk(_ answer: Reply) {
        junk += 1
        if junk > limits.junkCommands { close(with: .tooMuchJunk) } else { reply(answer) }
    }

    /// A refusal; too many permanent ones end the session.
    mutating func refuse(_ refusal: Reply) {
        if refusal.isPermanentFailure { errors += 1 }
        if errors > limits.errors { close(with: .tooManyErrors) } else { reply(refusal) }
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

    static func reply(to answer: QueueAnswer) -> Reply {
        switch answer {
        case .accepted: .ok
        case .lost: reply(to: .refused(isPermanent: false, text: "qq temporary problem (#4.3.0)"))
        case .refused(let isPermanent, let text): refusal(isPermanent, text)
        case .full(let text): Reply(452, "4.3.1", text)
        }
    }

    private static func refusal(_ isPermanent: Bool, _ text: String) -> Reply {
        isPermanent ? Reply(554, status(in: text) ?? "5.3.0", text) : Reply(451, status(in: text) ?? "4.3.0", text)
    }

    /// qmail writes the status behind the text: `qq timeout (#4.3.0)`.
    private static func status(in text: String) -> String? {
        guard text.utf8.last == UInt8(ascii: ")"), let hash = text.utf8.lastIndex(of: ASCII.hash) else { return nil }
        let status = text.utf8[text.utf8.index(after: hash)...].dropLast()
        return status.count <= 11 && status.allSatisfy { $0.isDigit || $0 == ASCII.dot } ? String(status) : nil
    }
}
