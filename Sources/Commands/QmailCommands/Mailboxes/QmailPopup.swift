private import Bytes
private import Checkpassword
private import Glibc
private import POP3
private import Posix

/// qmail-popup (spec-qmail §16.1): the login of POP3 on descriptors 0 and 1. Who may come in is decided by a program, which goes on as another that
/// speaks to the client.
struct QmailPopup {
    /// It ends so however it ends: its own end tells nobody anything.
    private static let ended: Int32 = 1
    static let seconds: UInt64 = 1200

    private var session: AuthorizationSession
    private let stream = TimedStream(input: 0, output: 1, seconds: Self.seconds)
    private let program: [[UInt8]]
    private let tls: TLSOnRequest?
    private var isClosed = false

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        signal(SIGPIPE, SIG_IGN)
        guard call.arguments.count >= 2 else {
            writeAll(Array("-ERR usage: popup hostname subprogram\r\n".utf8)[...], to: 1)
            return ended
        }
        let timestamp = "<\(getpid()).\(unixTime())@".utf8 + call.arguments[0] + [ASCII.greater]
        let tls = TLSOnRequest(call.environment)
        var popup = QmailPopup(
            session: AuthorizationSession(classic: timestamp, offersTLS: tls != nil), program: Array(call.arguments.dropFirst()), tls: tls)
        try? popup.serve()
        return ended
    }

    private init(session: AuthorizationSession, program: [[UInt8]], tls: TLSOnRequest?) {
        self.session = session
        self.program = program
        self.tls = tls
    }

    private mutating func serve() throws(TimedStream.Failure) {
        try perform(session.opened())
        try stream.forEachPiece { (bytes) throws(TimedStream.Failure) in
            try perform(session.bytesReceived(bytes))
            return !isClosed
        }
    }

    private mutating func perform(_ first: [AuthorizationSession.Action]) throws(TimedStream.Failure) {
        var waiting = first[...]
        while let action = waiting.popFirst() {
            switch action {
            case .send(let bytes): try stream.write(bytes)
            case .check(let credentials): waiting += session.checked(ask(credentials))
            case .startTLS:
                if tls?.begin() != nil { waiting += session.tlsStarted() } else { isClosed = true }
            case .close: isClosed = true
            // Only the modern profile asks for these.
            case .begin, .respond, .cancel, .open: isClosed = true
            }
        }
    }

    /// Runs the program with the login on its descriptor 3, to its end.
    private func ask(_ credentials: Credentials) -> AuthorizationSession.Verdict {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return .cannotAsk("unable to open pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let reader = FileDescriptor(owning: ends[0])
        guard write(credentials, to: FileDescriptor(owning: ends[1])) else { return .cannotAsk("unable to write pipe") }
        do throws(SystemError) {
            let pid = try Child.start(program, descriptors: [3: reader.raw])
            return switch try ChildEnd(of: pid) {
            case .exited(0): .served
            case .exited: .denied
            case .killed: .crashed
            }
        } catch {
            return error.errno == EAGAIN || error.errno == ENOMEM ? .cannotAsk("unable to fork") : .denied
        }
    }

    /// Two lines fit in any pipe, so nobody needs to read yet.
    private func write(_ credentials: Credentials, to writer: consuming FileDescriptor) -> Bool { writeAll(credentials.encoded[...], to: writer.raw) }
}
