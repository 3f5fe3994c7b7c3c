private import Addresses
private import Glibc
private import Injection
private import Posix
internal import Reception

/// Carries one machine of QMTP or QMQP over descriptors 0 and 1: bytes in, its actions carried out one after the other, messages to the queue.
struct PackageConversation<Server: PackageServer> {
    private var server: Server
    private let stream: TimedStream
    private var queue: QueueHandover
    private var exitCode: Int32?

    /// The whole connection has an end (spec-qmail §1.4).
    private static var maxSeconds: UInt32 { 3600 }

    /// - Parameter queueProgram: the value of `QMAILQUEUE`.
    init(_ server: Server, queueProgram: [UInt8]?) {
        self.server = server
        queue = QueueHandover(program: queueProgram)
        stream = TimedStream(input: 0, output: 1, seconds: UInt64(Self.maxSeconds))
    }

    /// - Returns: the exit code (spec-qmail §15.1).
    mutating func run() -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGALRM) { _ in _exit(ExitCode.temporary) }
        alarm(Self.maxSeconds)
        do throws(TimedStream.Failure) {
            while exitCode == nil {
                let bytes = try stream.read()
                guard !bytes.isEmpty else { break }
                try perform(server.bytesReceived(bytes, time: unixTime()))
            }
        } catch {
            // A client that is gone is as good as one that has ended.
        }
        try? perform(server.clientEnded())
        return exitCode ?? ExitCode.ok
    }

    private mutating func perform(_ first: [PackageAction]) throws(TimedStream.Failure) {
        var waiting = first[...]
        while let action = waiting.popFirst() {
            switch action {
            case .send(let bytes): try stream.write(bytes)
            case .begin: waiting += begin()
            case .content(let bytes): if let failure = queue.write(bytes) { waiting += refused(failure) }
            case .commit(let envelope): waiting += commit(envelope)
            case .abort: queue.abort()
            case .close(let ending): exitCode = exitCode ?? Self.code(ending)
            }
        }
    }

    private static func code(_ ending: PackageEnding) -> Int32 {
        switch ending {
        case .done: ExitCode.ok
        case .protocolError: ExitCode.permanent
        case .trouble: ExitCode.temporary
        }
    }

    private mutating func begin() -> [PackageAction] {
        do throws(InjectionFailure) {
            try queue.begin()
            return []
        } catch {
            guard error == .notStarted else { return refused(error) }
            exitCode = ExitCode.temporary
            return []
        }
    }

    private mutating func commit(_ envelope: Envelope) -> [PackageAction] {
        switch queue.commit(envelope) {
        case .success(let number): server.queueAnswered(.accepted(time: unixTime(), qp: number), time: unixTime())
        case .failure(let failure): refused(failure)
        case nil: []
        }
    }

    /// What the machine says to a failure.
    private mutating func refused(_ failure: InjectionFailure) -> [PackageAction] {
        server.queueAnswered(.refused(isPermanent: failure.isPermanent, text: failure.text), time: unixTime())
    }
}
