private import Bytes
private import Checkpassword
internal import Frames
private import Glibc
private import Posix

/// A program of checkpassword's interface (spec-qmail §16.2), run for its verdict: what it becomes in the end is ``AuthReport``.
struct CheckpasswordProgram {
    private let question: Check.Question
    private let environment: Environment
    private let seconds: UInt32

    init(_ question: Check.Question, _ environment: Environment, seconds: UInt32) {
        self.question = question
        self.environment = environment
        self.seconds = seconds
    }

    func answer() -> Check.Answer {
        guard let credentials = Credentials(login: Array(question.login), password: Array(question.password), timestamp: Array(question.timestamp)),
            credentials.encoded.count <= Credentials.maxBytes
        else { return .denied }
        do throws(SystemError) {
            return try run(credentials.encoded)
        } catch {
            return trouble("cannot be run: \(error)")
        }
    }

    private func run(_ credentials: [UInt8]) throws(SystemError) -> Check.Answer {
        let input = try Pipe()
        // 512 bytes fit in any pipe: nobody needs to read yet.
        guard writeAll(credentials[...], to: input.writer.raw) else { throw SystemError(call: "write", subject: "", errno: errno) }
        let reader = input.ending()
        let output = try Pipe()
        let nothing = try FileDescriptor.open("/dev/null", O_RDWR)
        let pid = try program().start([nothing.raw, output.writer.raw, STDERR_FILENO, reader.raw])
        let report = output.ending()
        let (text, isOver) = try collect(report, pid)
        // It may have left others behind. Its number is its own until it is waited for.
        ChildProgram.signal(SIGKILL, group: pid)
        let end = try ChildEnd(of: pid)
        return isOver ? verdict(end, text) : trouble("did not end within \(seconds) seconds")
    }

    private func program() -> ChildProgram {
        let path = Array(question.program)
        var variables = ["PATH", "QMAILHOME"].compactMap { name in environment[name].map { Array("\(name)=".utf8) + $0 } }
        variables.append(Array("SERVICE=\(question.service)".utf8))
        variables.append(Array("TCPREMOTEIP=".utf8) + question.address)
        return ChildProgram(
            path: path, arguments: [path, Self.ownPath(), Array("martlet-authreport".utf8)], environment: variables, directory: Array("/".utf8),
            hasOwnGroup: true)
    }

    /// The multi-call program itself, whatever link it was called by.
    private static func ownPath() -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        return buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }
    }

    /// What it writes until it ends.
    /// - Returns: `isOver` is false when it has not ended in time.
    private func collect(_ report: borrowing FileDescriptor, _ pid: Int32) throws(SystemError) -> (text: [UInt8], isOver: Bool) {
        let watch = try ChildProgram.watch(pid)
        let deadline = monotonicNanoseconds() &+ UInt64(seconds) &* 1_000_000_000
        var text: [UInt8] = []
        var polled = [pollfd(fd: report.raw, events: Int16(POLLIN), revents: 0), pollfd(fd: watch.raw, events: Int16(POLLIN), revents: 0)]
        while text.count <= ReachedAccount.maxBytes {
            let now = monotonicNanoseconds()
            guard now < deadline else { return (text, false) }
            let count = poll(&polled, 2, Int32(clamping: (deadline - now) / 1_000_000 + 1))
            if count < 0, errno != EINTR { throw SystemError(call: "poll", subject: "", errno: errno) }
            guard count > 0 else { continue }
            let hasEnded = polled[1].revents != 0
            if polled[0].revents & Int16(POLLIN) != 0 {
                text += try read(report)
            } else if hasEnded {
                return (text, true)
            } else if polled[0].revents != 0 {
                // It has closed the pipe; only its end is of interest.
                polled[0].fd = -1
            }
        }
        return (text, true)
    }

    private func read(_ report: borrowing FileDescriptor) throws(SystemError) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let raw = report.raw
        let count = try check("read") { buffer.withUnsafeMutableBytes { Glibc.read(raw, $0.baseAddress, $0.count) } }
        return Array(buffer[..<count])
    }

    private func verdict(_ end: ChildEnd, _ text: [UInt8]) -> Check.Answer {
        switch end {
        case .exited(0):
            guard let reached = ReachedAccount(encoded: text) else { return trouble("ended with 0, but did not run what it was given") }
            guard reached.uid != 0 else { return .denied }
            let user = reached.user.isEmpty ? question.login : reached.user[...]
            return .identity(uid: reached.uid, gid: reached.gid, user: user, home: reached.home[...])
        case .exited(2): return trouble("says that it is misused")
        case .exited(111): return trouble("is in trouble")
        // 1 is no; so is all else, as qmail-popup takes it.
        case .exited: return .denied
        case .killed: return trouble("was killed")
        }
    }

    private func trouble(_ text: String) -> Check.Answer { .trouble(Array("\(logsafe(question.program)) \(text)".utf8)[...]) }

    private struct Pipe: ~Copyable {
        let reader: FileDescriptor
        let writer: FileDescriptor

        init() throws(SystemError) {
            var ends: [Int32] = [-1, -1]
            try check("pipe") { pipe(&ends) }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            reader = FileDescriptor(owning: ends[0])
            writer = FileDescriptor(owning: ends[1])
        }

        /// Nothing more is written from here.
        consuming func ending() -> FileDescriptor { reader }
    }
}
