private import Bytes

/// The client's side of one SMTP connection: past events in, actions out; it does no I/O and reads no clock.
///
/// ```
/// greeting → EHLO (→ STARTTLS → TLS → EHLO) (→ AUTH) → idle ⇄ transaction (→ RSET → idle) … → closed
///               └→ HELO, or HELO alone ────────────────┘
/// ```
/// A transaction may be begun as soon as the connection stands; it waits for the greeting by itself. It ends in exactly one of
/// ``Action/finish(_:)``, ``Action/giveBack`` and ``Action/passOn(_:)``. Texts and their classes are qmail-remote's (spec-qmail §14.2).
///
/// It must not know DNS or the queue. What holds: a finished transaction has one report for each recipient; no CR or LF leaves but as CRLF; a
/// message whose end was not acknowledged is not reported as delivered; what the connection must be (``ConnectionDemand``) it is before MAIL, and a server
/// that has offered TLS gets no mail in clear.
package struct ClientSession {
    package enum Action: Equatable, Sendable {
        case send([UInt8])
        /// The server moved on: the time that it has for its next step begins anew.
        case restartDeadline
        /// Call ``contentRead(_:isLast:)`` with the next piece when the connection can take it.
        case readContent
        /// The transaction has ended.
        case finish(TransactionReport)
        /// The server had given the connection up before it heard of this transaction: it belongs on another connection.
        case giveBack
        /// The connection cannot be what it must be, and nothing of the transaction was said: another host of the destination may take it. The report is
        /// for when there is none.
        case passOn(TransactionReport)
        /// From here on everything is inside TLS: then ``tlsStarted()`` or ``tlsFailed(_:)``.
        case startTLS
        /// ``begin(_:)`` may be called (again).
        case idle
        /// After what was sent has left. No event is wanted any more.
        case close
    }

    /// Nothing is under way, and the server owes nothing.
    package var isIdle: Bool { if case .idle = phase { true } else { false } }

    private enum Phase {
        case greeting
        case ehlo
        case helo
        case askingForTLS
        case startingTLS
        case loggingIn(Login)
        case idle
        case transaction(ActiveTransaction)
        case resetting
        case closed
    }

    private struct Login {
        var exchange: any LoginExchange
        /// What did not go with the command, for the first challenge.
        var initialResponse: [UInt8]?
        var isAbandoned = false
    }

    private let profile: Profile
    private let demand: ConnectionDemand
    private var isEncrypted: Bool
    private let limits: ReplyParser.Limits
    private let texts: DialogueTexts
    private let heloHost: [UInt8]
    private var phase = Phase.greeting
    private var parser: ReplyParser
    private var extensions: ServerExtensions = []
    private var mechanisms: [[UInt8]] = []
    /// Waits for the connection to be ready.
    private var pending: MailTransaction?
    /// Transactions ended on this connection.
    package private(set) var served = 0

    /// - Parameters:
    ///   - peer: the server's address, for texts.
    ///   - heloHost: our name (`control/helohost`).
    package init(
        _ profile: Profile = .modern, peer: String, heloHost: [UInt8], demand: ConnectionDemand = ConnectionDemand(),
        limits: ReplyParser.Limits = ReplyParser.Limits()
    ) {
        self.profile = profile
        self.demand = demand
        isEncrypted = demand.beginsWithTLS
        self.limits = limits
        texts = DialogueTexts(peer: peer)
        self.heloHost = heloHost
        parser = ReplyParser(limits: limits)
    }

    // MARK: Events

    package mutating func begin(_ mail: MailTransaction) -> [Action] {
        if let impossibility = mail.impossibility { return [.finish(mail.report(impossibility))] + becomeIdleAgain() }
        switch phase {
        case .idle: return start(mail)
        case .closed: return served > 0 ? [.giveBack] : [.finish(mail.report(texts.connectionDied(possibleDuplicate: false)))]
        case .greeting, .ehlo, .helo, .askingForTLS, .startingTLS, .loggingIn, .resetting, .transaction:
            pending = mail
            return []
        }
    }

    package mutating func received(_ bytes: some Collection<UInt8>) -> [Action] {
        var actions: [Action] = []
        parser.append(bytes)
        do throws(ReplyParser.Malformed) {
            while !isClosed, let reply = try parser.next() {
                if actions.isEmpty { actions.append(.restartDeadline) }
                actions += isOutOfTurn ? die() : handle(reply)
            }
        } catch {
            return actions + die()
        }
        if case .idle = phase, !parser.isEmpty {
            actions.removeAll { $0 == .idle }
            actions += die()
        }
        return actions
    }

    /// The handshake is done, and the certificate is what the caller wants it to be. What the server said before is forgotten (RFC 3207 §4.2).
    package mutating func tlsStarted() -> [Action] {
        guard case .startingTLS = phase else { return [] }
        isEncrypted = true
        extensions = []
        mechanisms = []
        parser = ReplyParser(limits: limits)
        phase = .ehlo
        return [.restartDeadline, hello("EHLO ")]
    }

    /// The handshake failed, here or before the greeting.
    /// - Parameter reason: for people.
    package mutating func tlsFailed(_ reason: String) -> [Action] { isClosed ? [] : passOn(texts.failedTLS(reason), politely: false) }

    /// The next piece of the transaction's content; the last may be empty.
    package mutating func contentRead(_ piece: ArraySlice<UInt8>, isLast: Bool) -> [Action] {
        guard case .transaction(var transaction) = phase else { return [] }
        phase = .closed  // Its arrays now have one owner and are changed in place.
        let (output, wantsMore) = transaction.encode(piece, isLast: isLast)
        phase = .transaction(transaction)
        return [.restartDeadline, .send(output)] + (wantsMore ? [.readContent] : [])
    }

    /// The content cannot be read. The server must not take what it has got for the whole, so the connection is dropped.
    package mutating func contentFailed() -> [Action] { die(DialogueTexts.unableToReadMessage) }

    /// The server did not move on in time.
    package mutating func deadlinePassed() -> [Action] {
        if case .startingTLS = phase { return die(texts.connectionDied(possibleDuplicate: false)) }
        return die()
    }

    package mutating func connectionClosed() -> [Action] { die() }

    /// Nobody needs the connection any more. QUIT is sent without waiting for its answer, as qmail does.
    package mutating func quit() -> [Action] {
        guard case .idle = phase else { return die() }
        phase = .closed
        return [.send(Array("QUIT\r\n".utf8)), .close]
    }

    // MARK: Replies

    private var isClosed: Bool { if case .closed = phase { true } else { false } }

    /// More has come than was asked for, at a point where the next command depends on this reply: a server that talks ahead of its client
    /// would be believed in the wrong place. A verdict on a message is believed all the same, and the connection then closed.
    private var isOutOfTurn: Bool {
        guard !parser.isEmpty else { return false }
        switch phase {
        case .greeting, .ehlo, .helo, .loggingIn, .resetting: return true
        // What stands behind the answer to STARTTLS is judged with it.
        case .askingForTLS, .startingTLS: return false
        case .transaction(let transaction): return transaction.outstanding == 1 && !transaction.awaitsVerdict
        case .idle, .closed: return false
        }
    }

    private mutating func handle(_ reply: Reply) -> [Action] {
        switch phase {
        case .greeting: return greeted(reply)
        case .ehlo: return answeredEHLO(reply)
        case .helo: return reply.code == 250 ? greetingIsOver() : refuse(texts.connected(but: "my name was rejected", reply, .deferred))
        case .askingForTLS: return answeredSTARTTLS(reply)
        case .loggingIn(let login): return answeredLogin(login, reply)
        case .resetting: return reply.class == .success ? ready() : die()
        case .transaction(var transaction):
            phase = .closed  // As in contentRead.
            let result = transaction.received(reply)
            phase = .transaction(transaction)
            return perform(result, in: transaction)
        case .startingTLS, .idle: return die()
        case .closed: return []
        }
    }

    private mutating func greeted(_ reply: Reply) -> [Action] {
        guard reply.code == 220 else { return refuse(texts.connected(but: "greeting failed", reply, .deferred)) }
        phase = profile.usesExtensions ? .ehlo : .helo
        return [hello(profile.usesExtensions ? "EHLO " : "HELO ")]
    }

    /// RFC 5321 §4.1.1.1: a server that does not know EHLO is greeted again with HELO.
    private mutating func answeredEHLO(_ reply: Reply) -> [Action] {
        switch reply.class {
        case .success:
            extensions = ServerExtensions(ehlo: reply)
            mechanisms = ServerExtensions.mechanisms(ehlo: reply)
            return greetingIsOver()
        case .permanentFailure:
            phase = .helo
            return [hello("HELO ")]
        case .intermediate: return die()
        case .temporaryFailure: return refuse(texts.connected(but: "my name was rejected", reply, .deferred))
        }
    }

    private func hello(_ verb: String) -> Action { .send(Array(verb.utf8) + heloHost + [ASCII.cr, ASCII.lf]) }

    // MARK: What the connection must be

    private mutating func greetingIsOver() -> [Action] {
        if !isEncrypted, demand.tls != .never, extensions.contains(.startTLS) {
            phase = .askingForTLS
            return [.send(Array("STARTTLS\r\n".utf8))]
        }
        guard isEncrypted || demand.tls != .always else { return passOn(texts.offersNoTLS) }
        return logIn()
    }

    private mutating func answeredSTARTTLS(_ reply: Reply) -> [Action] {
        guard reply.code == 220 else { return passOn(texts.refusedTLS(reply)) }
        // Who put it there need not be the server.
        guard parser.isEmpty else { return passOn(texts.talksBeforeTLS, politely: false) }
        phase = .startingTLS
        return [.startTLS]
    }

    private mutating func logIn() -> [Action] {
        guard var exchange = demand.login else { return ready() }
        guard let (mechanism, initialResponse) = exchange.begin(offered: mechanisms) else { return passOn(texts.offersNoLogin) }
        var command = Array("AUTH ".utf8) + mechanism
        var login = Login(exchange: exchange, initialResponse: nil)
        if let initialResponse {
            let coded = initialResponse.isEmpty ? [ASCII.equals] : Base64.encode(initialResponse)
            // RFC 4954 §4: one that makes the command too long waits for the first challenge, which is then empty.
            if coded.count <= Self.maxInitialResponse { command += [ASCII.space] + coded } else { login.initialResponse = initialResponse }
        }
        phase = .loggingIn(login)
        return [.send(command + Self.lineEnd)]
    }

    private static let maxInitialResponse = 480
    private static let lineEnd: [UInt8] = [ASCII.cr, ASCII.lf]

    private mutating func answeredLogin(_ login: Login, _ reply: Reply) -> [Action] {
        if reply.code == 334, !login.isAbandoned { return challenged(login, reply) }
        guard reply.code == 235, !login.isAbandoned else { return refuse(login.isAbandoned ? texts.distrustedLogin : texts.refusedLogin(reply)) }
        return login.exchange.succeeded() ? ready() : refuse(texts.distrustedLogin)
    }

    private mutating func challenged(_ login: Login, _ reply: Reply) -> [Action] {
        var login = login
        let coded = reply.text.dropFirst(4).prefix { $0 != ASCII.lf }
        let response =
            if let initial = login.initialResponse { initial } else { Base64.decode(Array(coded)).flatMap { login.exchange.challengeReceived($0) } }
        login.initialResponse = nil
        login.isAbandoned = response == nil
        phase = .loggingIn(login)
        return [.send((response.map { Base64.encode($0) } ?? Array("*".utf8)) + Self.lineEnd)]
    }

    /// Before MAIL, and so before anything of a message was said.
    private mutating func passOn(_ report: RecipientReport, politely: Bool = true) -> [Action] {
        phase = .closed
        let quit = politely ? [Action.send(Array("QUIT\r\n".utf8))] : []
        guard let mail = pending else { return quit + [.close] }
        pending = nil
        return [.passOn(mail.report(report))] + quit + [.close]
    }

    /// The server does not want us.
    private mutating func refuse(_ report: RecipientReport) -> [Action] {
        phase = .closed
        return finishPending(report) + [.send(Array("QUIT\r\n".utf8)), .close]
    }

    private mutating func ready() -> [Action] {
        phase = .idle
        guard let mail = pending else { return [.idle] }
        pending = nil
        return start(mail)
    }

    // MARK: Transactions

    private mutating func start(_ mail: MailTransaction) -> [Action] {
        var transaction = ActiveTransaction(profile, mail, extensions: extensions, texts: texts)
        let result = transaction.start()
        phase = .transaction(transaction)
        return [.restartDeadline] + perform(result, in: transaction)
    }

    private mutating func perform(_ result: ActiveTransaction.Result, in transaction: ActiveTransaction) -> [Action] {
        switch result {
        case .wait: return []
        case .send(let bytes): return [.send(bytes)]
        case .readContent: return [.readContent]
        case .ended(.broken) where isStale(transaction): return die()
        case .ended(let ending): return end(transaction, ending)
        }
    }

    private mutating func end(_ transaction: ActiveTransaction, _ ending: ActiveTransaction.Ending) -> [Action] {
        let finish = Action.finish(transaction.report(otherwise: texts.connectionDied(possibleDuplicate: transaction.sentAll)))
        served += 1
        if profile.isOneShot, ending != .broken {
            phase = .closed
            return [finish, .send(Array("QUIT\r\n".utf8)), .close]
        }
        switch ending {
        case .clean: return [finish] + ready()
        case .needsReset:
            phase = .resetting
            return [finish, .send(Array("RSET\r\n".utf8))]
        case .broken:
            phase = .closed
            return [finish] + finishPending(texts.connectionDied(possibleDuplicate: false)) + [.close]
        }
    }

    private func becomeIdleAgain() -> [Action] { if case .idle = phase { [.idle] } else { [] } }

    // MARK: Endings

    /// The connection is of no use from here on.
    private mutating func die(_ report: RecipientReport? = nil) -> [Action] {
        let last = phase
        phase = .closed
        switch last {
        case .closed: return []
        case .transaction(let transaction):
            if report == nil, isStale(transaction) { return [.giveBack, .close] }
            let otherwise = report ?? texts.connectionDied(possibleDuplicate: transaction.sentAll)
            return [.finish(transaction.report(otherwise: otherwise))] + finishPending(otherwise) + [.close]
        case .startingTLS where report == nil: return passOn(texts.failedTLS("the connection ended"), politely: false)
        case .greeting, .ehlo, .helo, .askingForTLS, .startingTLS, .loggingIn, .idle, .resetting:
            return finishPending(report ?? texts.connectionDied(possibleDuplicate: false)) + [.close]
        }
    }

    /// A kept connection that the server closed meanwhile says nothing about the transaction that finds it so.
    private func isStale(_ transaction: ActiveTransaction) -> Bool { served > 0 && !transaction.wasAnswered }

    private mutating func finishPending(_ report: RecipientReport) -> [Action] {
        guard let mail = pending else { return [] }
        pending = nil
        return served > 0 ? [.giveBack] : [.finish(mail.report(report))]
    }
}
