private import CPosix
private import Glibc
private import Posix

/// The program of `QMAILQUEUE`, run in place of the queue (spec-qmail §3.3): message on its descriptor 0, then envelope on 1; its exit code is
/// the answer.
///
/// A text of its own (exit code 82) it may write to descriptor 6, or to 4 as older filters do. The caller must ignore SIGPIPE.
final class QueueProgram {
    let pid: Int32
    private var message: FileDescriptor?
    private var envelope: FileDescriptor?
    private let text: FileDescriptor
    /// The program did not take all: then its exit code 0 is not believed.
    private var wasCutShort = false
    private var isWaitedFor = false

    /// - Parameters:
    ///   - path: absolute, or relative to `home`.
    ///   - home: the qmail home, which becomes the program's working directory; nil when it is ours already.
    init(_ path: [UInt8], in home: String?) throws(InjectionFailure) {
        guard let message = Pipe(), let envelope = Pipe(), let text = Pipe(), let null = QueueProgram.openNull() else { throw .notStarted }
        // What the program writes beyond the pipe's room must not stop it: nobody reads before its end.
        _ = martlet_set_nonblocking(text.writer.raw)
        _ = martlet_set_nonblocking(text.reader.raw)
        let descriptors = [message.reader.raw, envelope.reader.raw, 2, null.raw, text.writer.raw, null.raw, text.writer.raw]
        do throws(SystemError) {
            pid = try ChildProgram(path: path, arguments: [path], directory: home.map { Array($0.utf8) }).start(descriptors)
        } catch {
            throw error.errno == EAGAIN || error.errno == ENOMEM ? .notStarted : InjectionFailure(exitCode: 120)
        }
        self.message = message.takeWriter()
        self.envelope = envelope.takeWriter()
        self.text = text.takeReader()
    }

    /// It would stay a zombie of a process that lives long.
    deinit {
        if !isWaitedFor { abort() }
    }

    func write(_ bytes: ArraySlice<UInt8>) {
        guard let descriptor = message?.raw else { return }
        writeAll(bytes, to: descriptor)
    }

    /// Ends the message, hands over the envelope and waits for the program's end.
    func finish(_ bytes: [UInt8]) throws(InjectionFailure) {
        message = nil
        if let descriptor = envelope?.raw { writeAll(bytes[...], to: descriptor) }
        envelope = nil
        guard case .exited(let code) = try wait() else { throw .crashed }
        guard code != 0 || wasCutShort else { return }
        throw InjectionFailure(exitCode: code == 0 ? 54 : code, custom: code == 82 ? customText() : [])
    }

    private func wait() throws(InjectionFailure) -> ChildEnd {
        isWaitedFor = true
        do throws(SystemError) { return try ChildEnd(of: pid) } catch { throw .waitFailed }
    }

    /// Ends message and envelope unfinished, which no such program takes, and waits for its end.
    func abort() {
        message = nil
        envelope = nil
        _ = try? wait()
    }

    private func writeAll(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) {
        var left = bytes
        while !left.isEmpty, !wasCutShort {
            let count = left.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 { left = left.dropFirst(count) } else if errno != EINTR { wasCutShort = true }
        }
    }

    private static let maxTextBytes = 1000

    private func customText() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: Self.maxTextBytes)
        let count = buffer.withUnsafeMutableBytes { read(text.raw, $0.baseAddress, $0.count) }
        return Array(buffer.prefix(max(0, count)))
    }

    private static func openNull() -> FileDescriptor? { try? FileDescriptor.open("/dev/null", O_RDWR) }
}

/// Both ends of a pipe.
private struct Pipe: ~Copyable {
    let reader: FileDescriptor
    let writer: FileDescriptor

    init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        reader = FileDescriptor(owning: ends[0])
        writer = FileDescriptor(owning: ends[1])
    }

    consuming func takeReader() -> FileDescriptor { reader }
    consuming func takeWriter() -> FileDescriptor { writer }
}
