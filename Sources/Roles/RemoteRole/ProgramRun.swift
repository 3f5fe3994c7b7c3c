private import CPosix
internal import Frames
private import Glibc
internal import Posix
internal import RemoteDelivery
private import SMTPClient

/// One run of `control/remoteprogram` for one recipient: qmail-remote's arguments, the message on descriptor 0, the report on 1 and 2, which are one as
/// under qmail-rspawn. Over when it has ended and nobody holds its output any longer; when its time is up, it and its group are ended.
///
/// It holds itself until it is over.
final class ProgramRun {
    /// Between the request to end and the end.
    private static let graceSeconds = 5.0
    private static let readBytes = 1 << 16

    private let loop: EventLoop
    private let recipients: Int
    private let seconds: UInt64
    private let completion: (DeliveryReport) -> Void
    private let pid: Int32
    private let process: FileDescriptor
    private var pipe: FileDescriptor?
    private var output = ProgramOutput()
    private var timer: TimerQueue.Token?
    private var hasEnded = false
    /// It had not ended when its time was up.
    private var isLate = false

    /// - Parameters:
    ///   - arguments: the program's path, then host, sender, recipient.
    ///   - recipients: of the whole delivery, whose reports share a packet.
    ///   - completion: called once, and not when this throws.
    init(
        on loop: EventLoop, _ arguments: [[UInt8]], _ content: MessageContent, ofRecipients recipients: Int, seconds: UInt64,
        _ completion: @escaping (DeliveryReport) -> Void
    ) throws(SystemError) {
        self.loop = loop
        self.recipients = recipients
        self.seconds = seconds
        self.completion = completion
        var ends: [Int32] = [-1, -1]
        try check("pipe") { Glibc.pipe(&ends) }
        let reading = FileDescriptor(owning: ends[0])
        let writing = FileDescriptor(owning: ends[1])
        try check("fcntl") { martlet_set_nonblocking(ends[0]) }
        let program = ChildProgram(
            path: arguments.first ?? [], arguments: arguments, environment: Self.environment, hasOwnGroup: true)
        let pid = try program.start([content.rewound(), ends[1], ends[1]])
        _ = consume writing
        self.pid = pid
        do throws(SystemError) {
            process = try ChildProgram.watch(pid)
        } catch {
            Self.discard(pid)
            throw error
        }
        pipe = consume reading
        do throws(SystemError) {
            try loop.add(ends[0], .read) { [self] _ in read() }
            try loop.add(process.raw, .read) { [self] _ in ended() }
        } catch {
            stopReading()
            Self.discard(pid)
            throw error
        }
        timer = loop.after(seconds: Double(seconds)) { [self] in timeIsUp() }
    }

    /// As the role's own, without what is only for roles.
    private static var environment: [[UInt8]] { ProcessStrings.environment.filter { !$0.starts(with: "MARTLET_".utf8) } }

    private static func discard(_ pid: Int32) {
        ChildProgram.signal(SIGKILL, group: pid)
        _ = try? ChildEnd(of: pid)
    }

    /// The role ends.
    func end() { ChildProgram.signal(SIGTERM, group: pid) }

    private func read() {
        guard let raw = pipe?.raw else { return }
        withUnsafeTemporaryAllocation(byteCount: Self.readBytes, alignment: 1) { buffer in
            let count = Glibc.read(raw, buffer.baseAddress, buffer.count)
            if count > 0 { return output.add(buffer[..<count]) }
            if count < 0, errno == EINTR || errno == EAGAIN { return }
            stopReading()
            finishIfOver()
        }
    }

    private func stopReading() {
        guard let descriptor = pipe.take() else { return }
        loop.remove(descriptor.raw)
    }

    /// It stays to be waited for until all is over, so that its number, and its group's, stays its own.
    private func ended() {
        hasEnded = true
        loop.remove(process.raw)
        finishIfOver()
    }

    private func timeIsUp() {
        isLate = !hasEnded
        ChildProgram.signal(SIGTERM, group: pid)
        timer = loop.after(seconds: Self.graceSeconds) { [self] in
            ChildProgram.signal(SIGKILL, group: pid)
            timer = nil
            // Who left the group may hold the output for ever.
            stopReading()
            finishIfOver()
        }
    }

    private func finishIfOver() {
        guard hasEnded, pipe == nil else { return }
        if let timer { loop.cancel(timer) }
        let end = (try? ChildEnd(of: pid)) ?? .killed
        completion(isLate ? DeliveryTexts.programTooSlow(seconds: seconds) : DeliveryReport(end, output, ofRecipients: recipients))
    }
}
