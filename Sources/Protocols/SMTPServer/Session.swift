package import Addresses
private import Bytes

/// The server side of one SMTP session as a value: bytes and answers in, actions out. It does no I/O, never throws, and its clock comes from outside.
///
/// Commands are taken in order; while route or queue owe an answer, what the client has sent on (RFC 2920) waits in ``held``.
/// STARTTLS and AUTH will be further states and verbs: whatever is held when TLS begins must be refused, not kept.
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
        /// Close the connection once everything is sent. Nothing more comes.
        case close
    }

    /// What the world is like when an event happens.
    package struct Moment: Sendable {
        /// Seconds since 1970.
        package var time: UInt64
        /// Whether a message could be handed to the queue now.
        package var queueIsReachable: Bool
        package init(time: UInt64, queueIsReachable: Bool = true) {
            self.time = time
            self.queueIsReachable = queueIsReachable
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
    }

    /// For deadlines: whose turn it is.
    package enum Phase: Sendable {
        case command
        case message
        /// Route or queue owe an answer.
        case waiting
        case closed
    }

    private enum State {
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
        case closed
    }

    private let profile: Profile
    private let limits: Limits
    private let policy: Policy
    private let client: Client

    private var state = State.idle
    /// Input after what was handled: the start of a line, or all that follows a question still open.
    private var held: [UInt8] = []
    /// Bytes of an overlong line dropped so far.
    private var skipped = 0
    private var helo: [UInt8] = []
    private var errors = 0
    private var junk = 0
    private var isShuttingDown = false
    private var output: [UInt8] = []
    private var actions: [Action] = []

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
        case .checking, .awaitingQueue: .waiting
        case .closed: .closed
        }
    }

    /// From MAIL until the reply to the message.
    package var isInTransaction: Bool {
        switch state {
        case .idle, .closed: false
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

    package mutating func bytesReceived(_ bytes: UnsafeRawBufferPointer, _ moment: Moment) -> [Action] {
        if held.isEmpty {
            let consumed = process(bytes, moment)
            if consumed < bytes.count { held = Array(bytes[consumed...]) }
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
        case .awaitingQueue:
            state = .idle
            switch answer {
            case .accepted(let time, let qp):
                errors = 0
                junk = 0
                reply(Reply(250, "2.0.0", "ok \(time) qp \(qp)"))
            case .refused: reply(Session.reply(to: answer))
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
        case .idle, .mail, .checking, .refusedChunk, .closed: break
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
        close(with: .shuttingDown)
        return takeActions()
    }

    /// The connection is gone; what was not committed is not kept.
    package mutating func clientEnded() -> [Action] {
        abandonMessage()
        state = .closed
        held = []
        return takeActions()
    }

    // MARK: Input

    private mutating func processHeld(_ moment: Moment) {
        guard !held.isEmpty else { return }
        let input = held
        held = []
        let consumed = input.withUnsafeBytes { process($0, moment) }
        held = consumed == 0 ? input : Array(input[consumed...])
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

    // MARK: Commands

    private mutating func handle(_ line: [UInt8], _ moment: Moment) {
        if profile.isStrict, line.contains(where: \.isControl) { return refuse(.badLine) }
        let command = Command(line)
        switch command.verb {
        case .mail: mail(command.argument)
        case .rcpt: recipient(command.argument)
        case .data: data(moment)
        case .bdat where profile.has(.chunking): chunk(command.argument, moment)
        case .quit: close(with: Reply(221, "2.0.0", lines: [policy.greeting]))
        case .helo: hello(command.argument, Reply(250, nil, lines: [policy.greeting]))
        case .ehlo: hello(command.argument, Reply(250, nil, lines: [policy.greeting] + extensionLines))
        case .rset:
            abandonMessage()
            state = .idle
            junk(.flushed)
        case .noop: junk(.ok)
        case .vrfy: junk(.willTry)
        case .help: junk(Reply(214, "2.0.0", profile.helpText))
        case .bdat, nil:
            if profile.isStrict, command.isHTTP { close(with: .notSMTP) } else { refuse(.unimplemented) }
        }
    }

    private var databytes: UInt64 { client.databytes ?? policy.databytes }

    private var extensionLines: [[UInt8]] {
        profile.extensions.map { offered in
            // RFC 1870 §4: 0 means that there is no fixed limit.
            Array((offered == .size ? "SIZE \(databytes)" : offered.rawValue).utf8)
        }
    }

    private mutating func hello(_ name: ArraySlice<UInt8>, _ answer: Reply) {
        guard name.count <= limits.heloName else { return refuse(.badArgument) }
        abandonMessage()
        state = .idle
        helo = Array(name)
        junk(answer)
    }

    /// RFC 5321 §4.1.1.2. A refusal leaves an earlier transaction as it was (spec-qmail §13.2).
    private mutating func mail(_ argument: ArraySlice<UInt8>) {
        var isUTF8 = false
        let path: [UInt8]
        if profile.isStrict {
            guard let parsed = MailPath(argument, after: "from:"), let parameters = MailParameters(parsed.parameters, for: profile)
            else { return refuse(.syntaxError) }
            if let size = parameters.size, size > (databytes == 0 ? UInt64(Int64.max) : databytes) { return refuse(.tooBig) }
            isUTF8 = parameters.isUTF8
            path = parsed.address
        } else {
            path = classicPath(argument)
        }
        guard let sender = address(path, isUTF8: isUTF8) else { return }
        abandonMessage()
        state = .mail(Transaction(sender: sender, isBadSender: policy.isBad(sender), isUTF8: isUTF8))
        reply(.senderOk)
    }

    /// RFC 5321 §4.1.1.3; checks in the order of spec-qmail §13.2.
    private mutating func recipient(_ argument: ArraySlice<UInt8>) {
        if case .chunked = state { return refuse(.chunksUnderWay) }
        guard case .mail(let transaction) = state else { return refuse(.mailFirst) }
        let path: [UInt8]
        if profile.isStrict {
            guard let parsed = MailPath(argument, after: "to:"), parsed.parameters.isEmpty, !parsed.address.isEmpty else { return refuse(.syntaxError) }
            path = parsed.address
        } else {
            path = classicPath(argument)
        }
        guard var recipient = address(path, isUTF8: transaction.isUTF8) else { return }
        if transaction.isBadSender { return refuse(.badSender) }
        if let suffix = client.relay {
            guard let extended = Address(recipient.bytes + suffix) else { return refuse(.syntaxError) }
            recipient = extended
        } else {
            switch policy.allows(recipient) {
            case .found: break
            case .absent: return refuse(.notInRcpthosts)
            case .unreadable: return close(with: .unreadableControls)
            }
        }
        guard transaction.recipients.count < limits.recipients else { return refuse(.tooManyRecipients) }
        if profile.isStrict, policy.checksRecipients {
            state = .checking(transaction, recipient)
            actions.append(.askRoute(recipient))
        } else {
            accept(recipient)
        }
    }

    private mutating func accept(_ recipient: Address) {
        guard case .mail(let transaction) = state else { return }
        transaction.add(recipient)
        reply(.recipientOk)
    }

    /// The address of a path, or nil when it was refused.
    private mutating func address(_ path: [UInt8], isUTF8 mayBeUTF8: Bool) -> Address? {
        let bytes = policy.withLocalHost(path)
        guard bytes.count <= limits.address, let address = Address(bytes) else {
            refuse(.syntaxError)
            return nil
        }
        guard profile.isStrict else { return address }
        if let domain = address.domain, domain.isEmpty || domain.count > limits.domain {
            refuse(.syntaxError)
            return nil
        }
        if !address.isASCII, !mayBeUTF8 || !isUTF8(bytes) {
            refuse(mayBeUTF8 ? .syntaxError : .needsSMTPUTF8)
            return nil
        }
        return address
    }

    // MARK: Messages

    /// The transaction that a message may now follow; nil when the refusal is the second value.
    private func readyTransaction() -> (Transaction?, Reply) {
        guard case .mail(let transaction) = state else { return (nil, .mailFirst) }
        return transaction.recipients.isEmpty ? (nil, .recipientFirst) : (transaction, .ok)
    }

    private mutating func data(_ moment: Moment) {
        if case .chunked = state { return refuse(.chunksUnderWay) }
        let (transaction, refusal) = readyTransaction()
        guard let transaction else { return refuse(refusal) }
        guard moment.queueIsReachable else {
            state = .idle
            return reply(.queueUnreachable)
        }
        begin(transaction, moment)
        state = .data(Transfer(hasDots: true))
        reply(.goAhead)
    }

    private mutating func begin(_ transaction: Transaction, _ moment: Moment) {
        actions.append(.begin(transaction.envelope))
        actions.append(.content(receivedField(from: client, helo: helo, at: moment.time)))
    }

    private mutating func receive(data input: UnsafeRawBufferPointer, _ transfer: Transfer) -> Int {
        var transfer = transfer
        let (content, consumed) = transfer.receive(input)
        if profile.endsSessionAtBareLF, transfer.hasBareLF {
            state = .data(transfer)
            close(with: .classicStrayNewline)
            return consumed
        }
        forward(content, &transfer)
        if transfer.isAtEnd {
            end(transfer)
        } else {
            state = .data(transfer)
            dropIfEndless(transfer)
        }
        return consumed
    }

    /// RFC 3030 §2.
    private mutating func chunk(_ argument: ArraySlice<UInt8>, _ moment: Moment) {
        let parts = argument.split(separator: ASCII.space)
        let isLast = parts.count == 2 && parts[1].equalsIgnoringCase("LAST".utf8)
        guard let first = parts.first, parts.count == 1 || isLast, let size = parseDecimal(first) else {
            // How much data follows is unknown: whatever it is must not be taken for commands.
            return close(with: .badArgument)
        }
        if size < limits.tinyChunk, !isLast {
            junk += 1
            if junk > limits.junkCommands { return close(with: .tooMuchJunk) }
        }
        if case .chunked(let transfer) = state { return continueChunk(transfer, size, isLast) }
        let (transaction, refusal) = readyTransaction()
        guard let transaction else { return refuse(chunk: size, refusal, after: state) }
        guard moment.queueIsReachable else { return refuse(chunk: size, .queueUnreachable, after: .idle) }
        begin(transaction, moment)
        continueChunk(Transfer(hasDots: false), size, isLast)
    }

    private mutating func continueChunk(_ transfer: Transfer, _ size: UInt64, _ isLast: Bool) {
        state = .chunk(transfer, remaining: size, isLast: isLast)
        if size == 0 { endChunk(transfer, isLast) }
    }

    private mutating func receive(chunk input: UnsafeRawBufferPointer, _ transfer: Transfer, _ remaining: UInt64, _ isLast: Bool) -> Int {
        var transfer = transfer
        let part = UnsafeRawBufferPointer(rebasing: input.prefix(Int(min(remaining, UInt64(input.count)))))
        let (content, consumed) = transfer.receive(part)
        forward(content, &transfer)
        let left = remaining - UInt64(consumed)
        state = .chunk(transfer, remaining: left, isLast: isLast)
        if left == 0 { endChunk(transfer, isLast) } else { dropIfEndless(transfer) }
        return consumed
    }

    private mutating func endChunk(_ transfer: Transfer, _ isLast: Bool) {
        var transfer = transfer
        if isLast {
            forward(transfer.finish(), &transfer)
            return end(transfer)
        }
        if failure(of: transfer) != nil { return end(transfer) }
        state = .chunked(transfer)
        reply(Reply(250, "2.0.0", "ok"))
    }

    private mutating func refuse(chunk size: UInt64, _ refusal: Reply, after next: State) {
        guard size <= limits.discarded else { return close(with: refusal) }
        state = .refusedChunk(remaining: size, refusal, after: next)
        if size == 0 { _ = skip(chunk: UnsafeRawBufferPointer(start: nil, count: 0), 0, refusal, next) }
    }

    private mutating func skip(chunk input: UnsafeRawBufferPointer, _ remaining: UInt64, _ refusal: Reply, _ next: State) -> Int {
        let count = Int(min(remaining, UInt64(input.count)))
        let left = remaining - UInt64(count)
        if left > 0 {
            state = .refusedChunk(remaining: left, refusal, after: next)
        } else {
            state = next
            refuse(refusal)
        }
        return count
    }

    private func failure(of transfer: Transfer) -> Reply? { transfer.failure(databytes: databytes, limits, profile) }

    private mutating func forward(_ content: [UInt8], _ transfer: inout Transfer) {
        guard transfer.isForwarded else { return }
        if failure(of: transfer) != nil {
            transfer.stopForwarding()
            actions.append(.abort)
        } else if !content.isEmpty {
            actions.append(.content(content))
        }
    }

    /// The message is over: it goes to the queue, or the client hears why not. Either way so is the transaction.
    private mutating func end(_ transfer: Transfer) {
        if let failure = failure(of: transfer) {
            state = .idle
            refuse(failure)
        } else {
            state = .awaitingQueue
            actions.append(.commit)
        }
    }

    /// Reading to the true end has an end too.
    private mutating func dropIfEndless(_ transfer: Transfer) {
        guard transfer.hasDiscardedTooMuch(limits) else { return }
        close(with: failure(of: transfer) ?? .tooBig)
    }

    private mutating func abandonMessage() {
        switch state {
        case .data(let transfer), .chunked(let transfer), .chunk(let transfer, _, _):
            if transfer.isForwarded { actions.append(.abort) }
        case .idle, .mail, .checking, .refusedChunk, .awaitingQueue, .closed: break
        }
    }

    // MARK: Replies

    private mutating func reply(_ reply: Reply) {
        if case .closed = state { return }
        reply.encode(into: &output, for: profile)
    }

    /// A reply to a command that does no work; too many of them end the session.
    private mutating func junk(_ answer: Reply) {
        junk += 1
        if junk > limits.junkCommands { close(with: .tooMuchJunk) } else { reply(answer) }
    }

    /// A refusal; too many permanent ones end the session.
    private mutating func refuse(_ refusal: Reply) {
        if refusal.isPermanentFailure { errors += 1 }
        if errors > limits.errors { close(with: .tooManyErrors) } else { reply(refusal) }
    }

    private mutating func close(with last: Reply) {
        if case .closed = state { return }
        reply(last)
        abandonMessage()
        state = .closed
        held = []
        actions.append(.close)
    }

    private mutating func takeActions() -> [Action] {
        if isShuttingDown, !isInTransaction { close(with: .shuttingDown) }
        defer {
            output = []
            actions = []
        }
        return output.isEmpty ? actions : [.send(output)] + actions
    }

    static func reply(to answer: QueueAnswer) -> Reply {
        guard case .refused(let isPermanent, let text) = answer else { return .ok }
        return isPermanent ? Reply(554, status(in: text) ?? "5.3.0", text) : Reply(451, status(in: text) ?? "4.3.0", text)
    }

    /// qmail writes the status behind the text: `qq timeout (#4.3.0)`.
    private static func status(in text: String) -> String? {
        guard text.utf8.last == UInt8(ascii: ")"), let hash = text.utf8.lastIndex(of: ASCII.hash) else { return nil }
        let status = text.utf8[text.utf8.index(after: hash)...].dropLast()
        return status.count <= 11 && status.allSatisfy { $0.isDigit || $0 == ASCII.dot } ? String(status) : nil
    }
}

extension Transfer {
    fileprivate mutating func refused(_ answer: Session.QueueAnswer) {
        guard case .refused = answer else { return }
        stopForwarding()
        queueFailure = Session.reply(to: answer)
    }
}
