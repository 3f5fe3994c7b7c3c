private import Addresses
private import Bytes
private import WireContent

/// The transaction under way in a session: which commands await their replies, and what became of each recipient.
struct ActiveTransaction {
    /// A command whose reply is still to come; replies come in the order of commands.
    enum Step: Equatable {
        case mail
        case recipient(Int)
        case data
        /// BDAT.
        case chunk(isLast: Bool)
        /// The final dot.
        case end
    }

    /// What follows from a reply.
    enum Result: Equatable {
        /// More replies are due.
        case wait
        case send([UInt8])
        case readContent
        case ended(Ending)
    }

    /// What state the server is in afterwards.
    enum Ending: Equatable {
        case clean
        /// It still holds an envelope: RSET before the next MAIL.
        case needsReset
        /// Of content it has got a part only, or it said 421: the connection is of no more use.
        case broken
    }

    private let profile: Profile
    private let mail: MailTransaction
    private let extensions: ServerExtensions
    private let texts: DialogueTexts
    private var recipients: [TransactionReport.Answer]
    private var steps: [Step] = []
    private var nextStep = 0
    /// The index from which recipients are still to be offered, when commands go one by one.
    private var unoffered = 0
    private var mailAccepted = false
    private var wantsContent = false
    private var encoder: MessageEncoder
    /// Of the whole message, once known; else the failure of MAIL.
    private var verdict: RecipientReport?
    /// The server has answered, and not just to say that it closes the connection.
    private(set) var wasAnswered = false
    /// The server has all of the message and may act on it.
    private(set) var sentAll = false

    private var pipelines: Bool { extensions.contains(.pipelining) }
    private var chunks: Bool { extensions.contains(.chunking) }

    init(_ profile: Profile, _ mail: MailTransaction, extensions: ServerExtensions, texts: DialogueTexts) {
        self.profile = profile
        self.mail = mail
        self.extensions = extensions
        self.texts = texts
        encoder = MessageEncoder(extensions.contains(.chunking) ? .chunk : .data, strayCR: profile.strayCR)
        let utf8 = extensions.contains(.smtpUTF8)
        recipients = mail.recipients.map { recipient in
            if !utf8, !recipient.isASCII || !mail.sender.isASCII { return .excluded(texts.noInternationalAddresses) }
            return MailTransaction.canTravel(recipient) ? .none : .excluded(DialogueTexts.cannotTransferRecipient)
        }
    }

    /// How many replies are due.
    var outstanding: Int { steps.count - nextStep }

    /// The reply that is due now ends the transaction, as far as the server is concerned.
    var awaitsVerdict: Bool {
        guard nextStep < steps.count else { return false }
        return steps[nextStep] == .end || steps[nextStep] == .chunk(isLast: true)
    }

    // MARK: Commands

    /// The first commands: all of the envelope where the server pipelines (RFC 2920 §3.1), else MAIL.
    mutating func start() -> Result {
        guard let first = recipients.firstIndex(of: .none) else { return giveUp() }
        var output = mailCommand
        steps.append(.mail)
        unoffered = first
        if pipelines {
            while offerNextRecipient(in: &output) {}
            if !chunks { appendData(to: &output) }
        }
        return .send(output)
    }

    private var mailCommand: [UInt8] {
        var command = Array("MAIL FROM:<".utf8) + mail.sender.quoted
        command.append(">")
        if extensions.contains(.size) { command += Array(" SIZE=\(mail.content.transferSize)".utf8) }
        if extensions.contains(.eightBitMIME), mail.content.isEightBit { command.append(" BODY=8BITMIME") }
        if extensions.contains(.smtpUTF8), !(mail.sender.isASCII && mail.recipients.allSatisfy(\.isASCII)) { command.append(" SMTPUTF8") }
        command.append("\r\n")
        return command
    }

    private mutating func offerNextRecipient(in output: inout [UInt8]) -> Bool {
        while unoffered < recipients.count, recipients[unoffered] != .none { unoffered += 1 }
        guard unoffered < recipients.count else { return false }
        output.append("RCPT TO:<")
        output += mail.recipients[unoffered].quoted
        output.append(">\r\n")
        steps.append(.recipient(unoffered))
        unoffered += 1
        return true
    }

    private mutating func appendData(to output: inout [UInt8]) {
        output.append("DATA\r\n")
        steps.append(.data)
    }

    // MARK: Replies

    mutating func received(_ reply: Reply) -> Result {
        guard nextStep < steps.count else { return interrupted(by: reply) }
        let step = steps[nextStep]
        nextStep += 1
        if !profile.closesConnection(reply) { wasAnswered = true }
        let verdict = profile.verdict(reply, expecting: step == .data ? .intermediate : .success)
        guard verdict != .nonsense else { return .ended(.broken) }
        let isYes = verdict == .yes
        let result =
            switch step {
            case .mail: answeredMail(reply, isYes)
            case .recipient(let index): answeredRecipient(index, reply, isYes)
            case .data: answeredData(reply, isYes)
            case .chunk(let isLast): answeredContent(reply, isYes, isLast: isLast)
            case .end: answeredContent(reply, isYes, isLast: true)
            }
        // 421 may come in answer to anything. What it did not settle the closed connection leaves open.
        return profile.closesConnection(reply) ? .ended(.broken) : result
    }

    private mutating func answeredMail(_ reply: Reply, _ isYes: Bool) -> Result {
        mailAccepted = isYes
        if !mailAccepted { verdict = texts.connected(but: "sender was rejected", reply, reply.class.report) }
        return afterEnvelopeReply()
    }

    private mutating func answeredRecipient(_ index: Int, _ reply: Reply, _ isYes: Bool) -> Result {
        if mailAccepted { recipients[index] = isYes ? .accepted : .refused(texts.doesNotLikeRecipient(reply)) }
        return afterEnvelopeReply()
    }

    private mutating func afterEnvelopeReply() -> Result {
        if outstanding > 0 { return .wait }
        guard mailAccepted else { return .ended(.clean) }
        var output: [UInt8] = []
        if offerNextRecipient(in: &output) { return .send(output) }
        guard hasAccepted else { return giveUp() }
        if chunks { return askForContent() }
        appendData(to: &output)
        return .send(output)
    }

    private var hasAccepted: Bool { recipients.contains(.accepted) }

    private mutating func giveUp() -> Result {
        if verdict == nil { verdict = texts.givingUp }
        return .ended(mailAccepted ? .needsReset : .clean)
    }

    private mutating func answeredData(_ reply: Reply, _ isYes: Bool) -> Result {
        guard hasAccepted else {
            guard isYes else { return giveUp() }
            // DATA was sent ahead of the refusals; RFC 2920 §3.1 has the client end the empty message.
            if verdict == nil { verdict = texts.givingUp }
            steps.append(.end)
            return .send(Array(".\r\n".utf8))
        }
        guard isYes else {
            verdict = texts.failedOnData(reply)
            return .ended(.needsReset)
        }
        return askForContent()
    }

    private mutating func answeredContent(_ reply: Reply, _ isYes: Bool, isLast: Bool) -> Result {
        guard hasAccepted else { return .ended(.clean) }
        guard isYes else {
            verdict = texts.failedAfterMessage(reply)
            return .ended(isLast ? .clean : .broken)
        }
        if isLast {
            verdict = texts.acceptedMessage(reply)
            return .ended(.clean)
        }
        return pipelines ? .wait : askForContent()
    }

    /// A reply that no command asked for. While content is on its way a server may refuse the rest of it; anything else is nonsense.
    private mutating func interrupted(by reply: Reply) -> Result {
        if wantsContent, reply.code >= 400 { verdict = texts.failedAfterMessage(reply) }
        return .ended(.broken)
    }

    // MARK: Content

    private mutating func askForContent() -> Result {
        guard profile.completesLastLine || !mail.content.endsWithinLine else {
            verdict = DialogueTexts.partialFinalLine
            return .ended(.broken)
        }
        wantsContent = true
        return .readContent
    }

    /// The next piece of the content, in the form that the server takes.
    /// - Returns: the bytes to send, and whether the next piece may follow at once.
    mutating func encode(_ piece: ArraySlice<UInt8>, isLast: Bool) -> (output: [UInt8], wantsMore: Bool) {
        guard wantsContent, !sentAll else { return ([], false) }
        var output: [UInt8] = []
        encoder.encode(piece, into: &output)
        if isLast { encoder.finish(into: &output) }
        sentAll = isLast
        if chunks {
            output = Array("BDAT \(output.count)\(isLast ? " LAST" : "")\r\n".utf8) + output
            steps.append(.chunk(isLast: isLast))
        } else if isLast {
            steps.append(.end)
        }
        wantsContent = !isLast && (!chunks || pipelines)
        return (output, wantsContent)
    }

    // MARK: The end

    /// `otherwise` is for what no reply has settled.
    func report(otherwise: RecipientReport) -> TransactionReport { TransactionReport(recipients, verdict ?? otherwise) }
}
