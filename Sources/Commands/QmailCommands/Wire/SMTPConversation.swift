private import Addresses
private import Bytes
private import Glibc
private import Injection
private import Posix
private import SMTPReception
internal import SMTPServer

/// Carries one session over blocking descriptors: bytes in, its actions carried out one after the other, messages to the queue.
struct SMTPConversation: ~Copyable {
    private var session: Session
    private let stream: TimedStream
    private let tls: TLSOnRequest?
    private var queue: QueueHandover
    private var isClosed = false

    /// - Parameter queueProgram: the value of `QMAILQUEUE`.
    init(_ session: consuming Session, _ stream: TimedStream, queueProgram: [UInt8]?, _ tls: TLSOnRequest?) {
        self.session = session
        self.stream = stream
        queue = QueueHandover(program: queueProgram)
        self.tls = tls
    }

    private var moment: Session.Moment { .init(time: unixTime(), tlsIsReady: tls != nil) }

    /// - Returns: whether the client ended it with QUIT.
    mutating func run() -> Bool {
        // A client that takes no replies, or is gone, is told nothing.
        try? converse()
        try? perform(session.clientEnded())
        return session.hasQuit
    }

    private mutating func converse() throws(TimedStream.Failure) {
        try perform(session.opened())
        while !isClosed {
            let input: [UInt8]
            do throws(TimedStream.Failure) {
                input = try stream.read()
            } catch {
                guard error == .timeout else { throw error }
                return try perform(session.timedOut())
            }
            guard !input.isEmpty else { return }
            try perform(session.bytesReceived(input, moment))
        }
    }

    private mutating func perform(_ first: [Session.Action]) throws(TimedStream.Failure) {
        var waiting = first[...]
        while let action = waiting.popFirst() {
            switch action {
            case .send(let bytes): try stream.write(bytes)
            case .begin: waiting += begin()
            case .content(let bytes): if let failure = queue.write(bytes[...]) { waiting += refused(failure) }
            case .commit(let envelope): waiting += commit(envelope)
            case .abort: queue.abort()
            case .checkRecipient(let sender, let recipient, let helo):
                waiting += session.checkAnswered(check(sender, recipient, helo), moment)
            case .startTLS:
                if let details = tls?.begin() { waiting += session.tlsBegan(details) } else { isClosed = true }
            case .close: isClosed = true
            // There are no logins here.
            case .beginLogin, .continueLogin, .cancelLogin, .askPermission, .charge, .noteSent, .noteLimit: break
            // Nobody is asked: the policy of this program has recipients unchecked.
            case .askRoute: waiting += session.routeAnswered(.unknown, moment)
            }
        }
    }

    /// Runs the program of RCPTCHECK to its end.
    private func check(_ sender: Address, _ recipient: Address, _ helo: [UInt8]) -> Session.CheckOutcome {
        guard let program = RecipientCheck.program(session.client, sender: sender, recipient: recipient, helo: helo) else { return .accepted }
        do throws(SystemError) {
            let nothing = try FileDescriptor.open("/dev/null", O_RDONLY)
            return RecipientCheck.outcome(try ChildEnd(of: try program.start([nothing.raw, STDERR_FILENO, STDERR_FILENO])))
        } catch {
            return .notRun
        }
    }

    private mutating func begin() -> [Session.Action] {
        do throws(InjectionFailure) {
            try queue.begin()
            return []
        } catch {
            return refused(error == .notStarted ? InjectionFailure(isPermanent: false, text: "qqt failure (#4.3.0)") : error)
        }
    }

    private mutating func commit(_ envelope: Envelope) -> [Session.Action] {
        switch queue.commit(envelope) {
        case .success(let number): session.queueAnswered(.accepted(time: unixTime(), qp: number), moment)
        case .failure(let failure): refused(failure)
        case nil: []
        }
    }

    /// What the session says to a failure.
    private mutating func refused(_ failure: InjectionFailure) -> [Session.Action] {
        session.queueAnswered(.refused(isPermanent: failure.isPermanent, text: failure.text), moment)
    }
}
