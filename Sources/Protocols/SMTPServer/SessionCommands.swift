internal import Addresses
private import Bytes
private import Reception

/// What each command does: RFC 5321 §4.1.1, spec-qmail §13.2.
extension Session {
    mutating func handle(_ line: [UInt8], _ moment: Moment) {
        switch state {
        case .responseDue: return respond(line)
        case .confirmationDue(let account): return confirm(line, account)
        default: break
        }
        if profile.isStrict, line.contains(where: \.isControl) { return refuse(.badLine) }
        let command = Command(line)
        switch command.verb {
        case .mail: mail(command.argument)
        case .rcpt: recipient(command.argument)
        case .data: data(moment)
        case .bdat where profile.has(.chunking): chunk(command.argument, moment)
        case .quit:
            hasQuit = true
            close(with: Reply(221, "2.0.0", lines: [policy.greeting]))
        case .helo where service != .lmtp: hello(command.argument, Reply(250, nil, lines: [policy.greeting]))
        case .ehlo where service != .lmtp, .lhlo where service == .lmtp:
            hasOfferedTLS = moment.tlsIsReady && client.tls == nil
            hello(command.argument, Reply(250, nil, lines: [policy.greeting] + extensionLines))
        case .starttls where moment.tlsIsReady || hasOfferedTLS || client.tls != nil: startTLS(command.argument, moment)
        case .auth where !logins.mechanisms.isEmpty: authenticate(command.argument)
        case .rset:
            abandonMessage()
            state = .idle
            junk(.flushed)
        case .noop: junk(.ok)
        case .vrfy: junk(.willTry)
        case .help: junk(Reply(214, "2.0.0", profile.helpText))
        case .bdat, .helo, .ehlo, .lhlo, .auth, .starttls, nil:
            if profile.isStrict, command.isHTTP { close(with: .notSMTP) } else { refuse(.unimplemented) }
        }
    }

    var databytes: UInt64 { client.databytes ?? policy.databytes }

    var extensionLines: [[UInt8]] {
        profile.extensions.map { offered in
            // RFC 1870 §4: 0 means that there is no fixed limit.
            Array((offered == .size ? "SIZE \(databytes)" : offered.rawValue).utf8)
        } + (hasOfferedTLS ? [Array("STARTTLS".utf8)] : [])
            + (mayLogIn && account == nil ? [Array("AUTH \(logins.mechanisms.joined(separator: " "))".utf8)] : [])
    }

    /// RFC 3207 §4. What was behind it is refused before anything is answered.
    mutating func startTLS(_ argument: ArraySlice<UInt8>, _ moment: Moment) {
        if client.tls != nil { return refuse(.tlsAlready) }
        guard argument.isEmpty else { return refuse(.badArgument) }
        guard moment.tlsIsReady else { return refuse(.tlsUnavailable) }
        abandonMessage()
        state = .startingTLS
    }

    mutating func hello(_ name: ArraySlice<UInt8>, _ answer: Reply) {
        guard name.count <= limits.heloName else { return refuse(.badArgument) }
        abandonMessage()
        state = .idle
        helo = Array(name)
        junk(answer)
    }

    /// RFC 5321 §4.1.1.2. A refusal leaves an earlier transaction as it was (spec-qmail §13.2).
    mutating func mail(_ argument: ArraySlice<UInt8>) {
        if service == .submission, account == nil { return refuse(.loginNeeded) }
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
        let transaction = Transaction(sender: sender, isBadSender: policy.isBad(sender), isUTF8: isUTF8)
        guard account != nil else { return begin(transaction) }
        state = .permitting(transaction, .sender, before: state)
        actions.append(.askPermission(sender))
    }

    mutating func grant(_ wish: Wish, _ transaction: Transaction, _ recipients: Int, _ moment: Moment) {
        switch wish {
        case .sender:
            transaction.allowedRecipients = recipients
            begin(transaction)
        case .data: beginData(transaction, moment)
        case .chunk(let size, let isLast): beginChunk(transaction, size, isLast, moment)
        }
    }

    mutating func refuse(_ wish: Wish, _ refusal: Reply) {
        guard case .chunk(let size, _) = wish else { return refuse(refusal) }
        refuse(chunk: size, refusal, after: state)
    }

    /// Takes the place of a transaction that there may be.
    mutating func begin(_ transaction: Transaction) {
        // A MAIL in place of another is as idle as a NOOP, and must not renew the time that a transaction has.
        if isInTransaction {
            junk += 1
            if junk > limits.junkCommands { return close(with: .tooMuchJunk) }
        } else {
            transactionBegan()
        }
        abandonMessage()
        state = .mail(transaction)
        reply(.senderOk)
    }

    /// RFC 5321 §4.1.1.3; checks in the order of spec-qmail §13.2.
    mutating func recipient(_ argument: ArraySlice<UInt8>) {
        if case .chunked = state { return refuse(.chunksUnderWay) }
        guard case .mail(let transaction) = state else { return refuse(.mailFirst) }
        let path: [UInt8]
        if profile.isStrict {
            guard let parsed = MailPath(argument, after: "to:"), parsed.parameters.isEmpty, !parsed.address.isEmpty else {
                return refuse(.syntaxError)
            }
            path = parsed.address
        } else {
            path = classicPath(argument)
        }
        guard var recipient = address(path, isUTF8: transaction.isUTF8) else { return }
        if transaction.isBadSender { return refuse(.badSender) }
        if let refusal = refusalOfClient { return refuse(refusal) }
        if let suffix = relay {
            guard let extended = Address(recipient.bytes + suffix) else { return refuse(.syntaxError) }
            recipient = extended
        } else {
            switch policy.rcpthosts.allows(recipient) {
            case .found: break
            case .absent: return refuse(.notInRcpthosts)
            case .unreadable: return close(with: .unreadableControls)
            }
        }
        if policy.badRecipients.match(recipient.bytes) { return refuse(.badRecipient) }
        if relay == nil, policy.goodRecipients?.match(recipient.bytes) == false { return refuse(.noMailbox) }
        guard transaction.recipients.count < limits.recipients else { return refuse(.tooManyRecipients) }
        guard transaction.recipients.count < transaction.allowedRecipients else {
            actions.append(.noteLimit)
            return refuse(.accountLimit)
        }
        if profile.isStrict, policy.checksRecipients {
            state = .checking(transaction, recipient)
            actions.append(.askRoute(recipient))
        } else {
            verify(recipient, transaction)
        }
    }

    /// Lists are for strangers; people's mail programs call themselves anything.
    private var refusalOfClient: Reply? {
        guard account == nil else { return nil }
        if relay == nil, let listing { return listing }
        return policy.badHelos.match(helo) ? .badHelo : nil
    }

    /// RELAYCLIENT, which a login has as well.
    private var relay: [UInt8]? { client.relay ?? (account == nil ? nil : []) }

    mutating func accept(_ recipient: Address) {
        guard case .mail(let transaction) = state else { return }
        transaction.add(recipient)
        reply(.recipientOk)
    }

    /// The address of a path, or nil when it was refused.
    mutating func address(_ path: [UInt8], isUTF8 mayBeUTF8: Bool) -> Address? {
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
}
