private import CPosix
private import Glibc
internal import MailboxStorage
internal import Posix

/// A command of a user's `.qmail`: the one place where a shell is run, as that user, with the message on its descriptor 0 (spec-qmail §7.5).
struct UserProgram {
    private let program: ChildProgram
    private let seconds: UInt32

    /// Between the request to end and the end, in seconds.
    static let graceSeconds: UInt64 = 5

    /// - Parameters:
    ///   - hasOwnGroup: what it leaves behind can be ended with it.
    ///   - seconds: how long it may run, 0 without end. Only what is run for a report has a limit.
    init(_ command: [UInt8], _ environment: [[UInt8]], home: [UInt8], hasOwnGroup: Bool, seconds: UInt32) {
        let shell = Array("/bin/sh".utf8)
        program = ChildProgram(
            path: shell, arguments: [shell, Array("-c".utf8), command], environment: environment, directory: home, hasOwnGroup: hasOwnGroup)
        self.seconds = seconds
    }

    /// Waits until it has ended.
    func run(_ message: MessageContent) throws(Undeliverable) -> ChildEnd {
        let input = try UserProgram.input(message)
        return try UserProgram.wait(try start([input.raw, 1, 2]))
    }

    /// Waits until it has ended and nobody holds its output any longer; with a limit, until that at most.
    func run(_ message: MessageContent, reporting output: inout [UInt8]) throws(Undeliverable) -> ChildEnd {
        let input = try UserProgram.input(message)
        let pipe = try Pipe()
        let pid = try start([input.raw, pipe.writing, pipe.writing])
        pipe.closeWriting()
        guard seconds > 0 else {
            while UserProgram.read(pipe.reading, &output) {}
            return try UserProgram.wait(pid)
        }
        return try wait(pid, pipe, &output)
    }

    private static func input(_ message: MessageContent) throws(Undeliverable) -> FileDescriptor {
        do throws(SystemError) {
            return try message.openForProgram()
        } catch {
            throw .deferred("Unable to rewind message. (#4.3.0)\n")
        }
    }

    private func start(_ descriptors: [Int32]) throws(Undeliverable) -> Int32 {
        do throws(SystemError) {
            return try program.start(descriptors)
        } catch {
            let what = error.errno == EAGAIN ? "fork" : "run /bin/sh"
            throw .deferred("Unable to \(what): \(error.reason). (#4.3.0)\n")
        }
    }

    private static func wait(_ pid: Int32) throws(Undeliverable) -> ChildEnd {
        do throws(SystemError) {
            return try ChildEnd(of: pid)
        } catch {
            throw .deferred("Aack, child crashed. (#4.3.0)\n")
        }
    }

    /// Takes what is there, waiting for it; beyond what a report may hold it is dropped.
    /// - Returns: false at the end.
    private static func read(_ pipe: Int32, _ output: inout [UInt8]) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
            while true {
                let count = Glibc.read(pipe, buffer.baseAddress, buffer.count)
                if count < 0, errno == EINTR { continue }
                if count > 0, output.count <= DeliveryText.maxBytes { output.append(contentsOf: buffer[..<count]) }
                return count > 0
            }
        }
    }
}

// With a limit of time.
extension UserProgram {
    /// A program that ended in time counts, whoever holds its output; one that did not is ended with its whole group.
    private func wait(_ pid: Int32, _ pipe: Pipe, _ output: inout [UInt8]) throws(Undeliverable) -> ChildEnd {
        let start = monotonicNanoseconds()
        let limit = start + UInt64(seconds) * 1_000_000_000
        if UserProgram.collect(pid, pipe, &output, until: limit) { return try UserProgram.wait(pid) }
        let isInTime = ChildProgram.hasEnded(pid)
        ChildProgram.signal(SIGTERM, group: pid)
        let grace = monotonicNanoseconds() + UserProgram.graceSeconds * 1_000_000_000
        if !UserProgram.collect(pid, pipe, &output, until: grace) { ChildProgram.signal(SIGKILL, group: pid) }
        let end = try UserProgram.wait(pid)
        if isInTime { return end }
        throw .deferred("Program did not end within \(seconds) seconds and was ended. (#4.3.0)\n")
    }

    /// - Returns: true when it has ended and its output too; false when the time is over.
    private static func collect(_ pid: Int32, _ pipe: Pipe, _ output: inout [UInt8], until limit: UInt64) -> Bool {
        // Without it, when there are no descriptors left, the process is looked at now and then.
        let process = FileDescriptor(owning: martlet_watch_process(pid))
        let isWatched = process.raw >= 0
        var entries = [pollfd(fd: pipe.reading, events: Int16(POLLIN), revents: 0), pollfd(fd: process.raw, events: Int16(POLLIN), revents: 0)]
        while entries.contains(where: { $0.fd >= 0 }) || !isWatched && !ChildProgram.hasEnded(pid) {
            let now = monotonicNanoseconds()
            guard now < limit else { return false }
            let milliseconds = Int32(min((limit - now) / 1_000_000 + 1, isWatched ? 3_600_000 : 50))
            guard poll(&entries, 2, milliseconds) > 0 else { continue }
            if entries[0].revents != 0, !read(pipe.reading, &output) {
                pipe.closeReading()
                entries[0].fd = -1
            }
            if entries[1].revents != 0 { entries[1].fd = -1 }
        }
        return true
    }
}
