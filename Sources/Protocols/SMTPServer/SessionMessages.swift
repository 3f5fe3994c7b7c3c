private import Bytes
private import MessageHeader
private import Reception

/// How a message comes in: DATA (RFC 5321 §4.1.1.4) and BDAT (RFC 3030).
extension Session {
    /// The transaction that a message may now follow; nil when the refusal is the second value.
    func readyTransaction() -> (Transaction?, Reply) {
        guard case .mail(let transaction) = state else { return (nil, .mailFirst) }
        return transaction.recipients.isEmpty ? (nil, .recipientFirst) : (transaction, .ok)
    }

    mutating func data(_ moment: Moment) {
        if case .chunked = state { return refuse(.chunksUnderWay) }
        let (transaction, refusal) = readyTransaction()
        guard let transaction else { return refuse(refusal) }
        if isCharged(moment) { charge(transaction, for: .data) } else { beginData(transaction, moment) }
    }

    /// An account pays for a message before it comes: by its end, any number of connections could bring what one was allowed. It is not paid back when the
    /// message fails or the queue refuses it; only what can go nowhere costs nothing.
    private func isCharged(_ moment: Moment) -> Bool { account != nil && moment.queueIsReachable }

    /// A refusal ends the transaction, so that no later chunk is taken for the first.
    private mutating func charge(_ transaction: Transaction, for wish: Wish) {
        state = .permitting(transaction, wish, before: .idle)
        actions.append(.charge(recipients: transaction.recipients.count))
    }

    mutating func beginData(_ transaction: Transaction, _ moment: Moment) {
        guard moment.queueIsReachable else {
            state = .idle
            return reply(.queueUnreachable)
        }
        begin(moment)
        state = .data(transfer(transaction, hasDots: true, moment))
        reply(.goAhead)
    }

    private func transfer(_ transaction: Transaction, hasDots: Bool, _ moment: Moment) -> Transfer {
        let header = completion.map { completion in
            var completion = completion
            completion.uniqueName += ".\(transactions)"
            return SubmittedHeader(completion, sender: transaction.sender, now: moment.time)
        }
        return Transfer(transaction, hasDots: hasDots, header, mendsLineEnds: client.mendsLineEnds)
    }

    mutating func begin(_ moment: Moment) {
        actions.append(.begin)
        let word = service.receivedWord(isEncrypted: isEncrypted, hasLoggedIn: account != nil)
        actions.append(.content(receivedField(from: client, helo: helo, with: word, at: moment.time)))
    }

    mutating func receive(data input: UnsafeRawBufferPointer, _ transfer: Transfer) -> Int {
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
    mutating func chunk(_ argument: ArraySlice<UInt8>, _ moment: Moment) {
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
        if isCharged(moment) {
            charge(transaction, for: .chunk(size: size, isLast: isLast))
        } else {
            beginChunk(transaction, size, isLast, moment)
        }
    }

    mutating func beginChunk(_ transaction: Transaction, _ size: UInt64, _ isLast: Bool, _ moment: Moment) {
        var transfer = transfer(transaction, hasDots: false, moment)
        if moment.queueIsReachable { begin(moment) } else { transfer.refused(.queueUnreachable) }
        continueChunk(transfer, size, isLast)
    }

    mutating func continueChunk(_ transfer: Transfer, _ size: UInt64, _ isLast: Bool) {
        state = .chunk(transfer, remaining: size, isLast: isLast)
        if size == 0 { endChunk(transfer, isLast) }
    }

    mutating func receive(chunk input: UnsafeRawBufferPointer, _ transfer: Transfer, _ remaining: UInt64, _ isLast: Bool) -> Int {
        var transfer = transfer
        let part = UnsafeRawBufferPointer(rebasing: input.prefix(Int(min(remaining, UInt64(input.count)))))
        let (content, consumed) = transfer.receive(part)
        forward(content, &transfer)
        let left = remaining - UInt64(consumed)
        state = .chunk(transfer, remaining: left, isLast: isLast)
        if left == 0 { endChunk(transfer, isLast) } else { dropIfEndless(transfer) }
        return consumed
    }

    mutating func endChunk(_ transfer: Transfer, _ isLast: Bool) {
        var transfer = transfer
        if isLast {
            forward(transfer.finish(), &transfer)
            return end(transfer)
        }
        if failure(of: transfer) != nil { return end(transfer, isLast: false) }
        state = .chunked(transfer)
        reply(Reply(250, "2.0.0", "ok"))
    }

    mutating func refuse(chunk size: UInt64, _ refusal: Reply, after next: State) {
        guard size <= limits.discarded else { return close(with: refusal) }
        state = .refusedChunk(remaining: size, refusal, after: next)
        if size == 0 { _ = skip(chunk: UnsafeRawBufferPointer(start: nil, count: 0), 0, refusal, next) }
    }

    mutating func skip(chunk input: UnsafeRawBufferPointer, _ remaining: UInt64, _ refusal: Reply, _ next: State) -> Int {
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

    func failure(of transfer: Transfer) -> Reply? { transfer.failure(databytes: databytes, limits, profile) }

    mutating func forward(_ content: [UInt8], _ transfer: inout Transfer) {
        guard transfer.isForwarded else { return }
        if failure(of: transfer) != nil {
            transfer.stopForwarding()
            actions.append(.abort)
        } else if !content.isEmpty {
            actions.append(.content(content))
        }
    }

    /// The message is over: it goes to the queue, or the client hears why not. Either way so is the transaction.
    /// - Parameter isLast: false when it failed before its last chunk: then that chunk is what is answered, not the message (RFC 2033 §4.3).
    mutating func end(_ transfer: Transfer, isLast: Bool = true) {
        if let failure = failure(of: transfer) {
            state = .idle
            refuse(failure, for: isLast ? transfer.transaction : nil)
        } else {
            state = .awaitingQueue(transfer.transaction)
            actions.append(.commit(transfer.transaction.envelope))
        }
    }

    /// Reading to the true end has an end too.
    mutating func dropIfEndless(_ transfer: Transfer) {
        guard transfer.hasDiscardedTooMuch(limits) else { return }
        close(with: failure(of: transfer) ?? .tooBig)
    }

    mutating func abandonMessage() {
        switch state {
        case .data(let transfer), .chunked(let transfer), .chunk(let transfer, _, _):
            if transfer.isForwarded { actions.append(.abort) }
        case .permitting(_, _, let before):
            state = before
            abandonMessage()
        case .loggingIn, .responseDue: actions.append(.cancelLogin)
        case .idle, .mail, .checking, .verifying, .refusedChunk, .awaitingQueue, .confirmationDue, .startingTLS, .handshaking, .closed: break
        }
    }
}

extension Transfer {
    mutating func refused(_ answer: Session.QueueAnswer) {
        if case .accepted = answer { return }
        refused(Session.reply(to: answer))
    }

    mutating func refused(_ reply: Reply) {
        stopForwarding()
        queueFailure = reply
    }
}
