private import Bytes
internal import RemoteDelivery
internal import SMTPClient

/// Carries one transaction over a connected socket, blocking.
struct SMTPDelivery {
    private var session: ClientSession
    private let stream: TimedStream
    private let content: MessageContent
    private var offset = 0
    private var report: TransactionReport?
    private var isClosed = false

    init(_ session: ClientSession, _ stream: TimedStream, _ content: MessageContent) {
        self.session = session
        self.stream = stream
        self.content = content
    }

    /// - Returns: nil never, by what ``ClientSession`` holds.
    mutating func run(_ mail: MailTransaction) -> TransactionReport? {
        perform(session.begin(mail))
        while !isClosed {
            do throws(TimedStream.Failure) {
                let bytes = try stream.read()
                perform(bytes.isEmpty ? session.connectionClosed() : session.received(bytes))
            } catch {
                perform(error == .timeout ? session.deadlinePassed() : session.connectionClosed())
            }
        }
        return report
    }

    private mutating func perform(_ first: [ClientSession.Action]) {
        var waiting = first[...]
        while let action = waiting.popFirst() {
            switch action {
            case .send(let bytes): waiting += send(bytes)
            case .readContent: waiting += nextPiece()
            case .finish(let ended): report = ended
            case .close: isClosed = true
            // The classic profile knows no TLS, and there is one transaction.
            case .restartDeadline, .idle, .giveBack, .passOn, .startTLS: break
            }
        }
    }

    /// - Returns: what the session says to a connection that does not take it.
    private mutating func send(_ bytes: [UInt8]) -> [ClientSession.Action] {
        do throws(TimedStream.Failure) {
            try stream.write(bytes)
            return []
        } catch {
            return error == .timeout ? session.deadlinePassed() : session.connectionClosed()
        }
    }

    private mutating func nextPiece() -> [ClientSession.Action] {
        guard let piece = content.piece(at: offset) else { return session.contentFailed() }
        offset += piece.count
        return session.contentRead(piece[...], isLast: offset >= content.size)
    }
}
