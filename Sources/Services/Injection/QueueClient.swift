package import Addresses
private import Boundaries
private import Bytes
package import Frames
private import Glibc
private import Posix

/// Hands one message to the queue over `run/inject`, blocking. The working directory must be the qmail home.
///
/// A small message is kept until it is whole: then one connection and one write carry it, and a queue that restarts meanwhile is not noticed.
/// A message whose client goes away without ``commit(sender:)`` leaves nothing behind.
package final class QueueClient {
    /// What the queue said when the message was safe.
    package struct Acceptance: Equatable, Sendable {
        package let id: UInt64
        /// The number shown as "qp".
        package let qp: UInt64
        /// Seconds since 1970.
        package let time: UInt64
    }

    /// spec-qmail §1.4: the whole run of qmail-queue.
    package static let maxSeconds: UInt64 = 86_400
    /// How long a queue that does not answer the door is waited for: it may be restarting.
    private static let connectSeconds: UInt64 = 5
    private static let firstPause: UInt64 = 50_000_000
    private static let longestPause: UInt64 = 1_000_000_000
    /// Bytes kept before anything is sent.
    private static let bufferBytes = 1 << 18
    private static let recipientBytesPerFrame = 1 << 16
    private static let stream: UInt32 = 1

    private let deadline = monotonicNanoseconds() + QueueClient.maxSeconds * 1_000_000_000
    private var connection: FileDescriptor?
    private var decoder = FrameDecoder(maxLength: InjectAnswer.maxLength)
    private var output: [UInt8] = []
    private var recipients: [Address] = []
    private var recipientBytes = 0

    package init() {}

    /// Milliseconds left for the whole run, for `poll`; 0 when it is over.
    package var millisecondsLeft: Int32 {
        let now = monotonicNanoseconds()
        return now >= deadline ? 0 : Int32(min((deadline - now) / 1_000_000 + 1, 1 << 30))
    }

    package func write(_ bytes: ArraySlice<UInt8>) throws(QueueRefusal) {
        var left = bytes
        while !left.isEmpty {
            let part = left.prefix(InjectRequest.contentBytesPerFrame)
            left = left[part.endIndex...]
            try send(.content(stream: Self.stream, bytes: part))
        }
    }

    package func add(recipient: Address) throws(QueueRefusal) {
        recipients.append(recipient)
        recipientBytes += recipient.bytes.count + 2
        if recipientBytes >= Self.recipientBytesPerFrame { try sendRecipients() }
    }

    /// Returns when the message is durable.
    package func commit(sender: Address) throws(QueueRefusal) -> Acceptance {
        if !recipients.isEmpty { try sendRecipients() }
        InjectRequest.commit(stream: Self.stream, sender: sender).encode(into: &output)
        try flush()
        while true {
            if let acceptance = try receive() { return acceptance }
            try wait(for: Int16(POLLIN))
        }
    }

    private func sendRecipients() throws(QueueRefusal) {
        let request = InjectRequest.recipients(stream: Self.stream, recipients)
        recipients.removeAll(keepingCapacity: true)
        recipientBytes = 0
        try send(request)
    }

    private func send(_ request: InjectRequest) throws(QueueRefusal) {
        request.encode(into: &output)
        if output.count >= Self.bufferBytes { try flush() }
    }

    // MARK: - The connection

    /// Connects at the first need and sends all that is kept. An answer that comes meanwhile is a refusal, or a queue gone mad.
    private func flush() throws(QueueRefusal) {
        let socket = try connected()
        var sent = 0
        while sent < output.count {
            let count = output.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                try wait(for: Int16(POLLIN | POLLOUT))
                guard try receive() == nil else { throw .badEnvelope }
            } else if errno != EINTR {
                // The queue may have said why before it closed.
                guard try receive() == nil else { throw .badEnvelope }
                throw .writeErrorOrDiskFull
            }
        }
        output.removeAll(keepingCapacity: true)
    }

    private func connected() throws(QueueRefusal) -> Int32 {
        if let socket = connection?.raw { return socket }
        let giveUp = monotonicNanoseconds() + Self.connectSeconds * 1_000_000_000
        var pause = Self.firstPause
        while true {
            do throws(SystemError) {
                let made = try Boundary.inject.connect()
                let socket = made.raw
                connection = consume made
                return socket
            } catch {
                // Absent or refusing: it restarts. EAGAIN: more clients than its backlog holds.
                let mayPass = [ENOENT, ECONNREFUSED, EAGAIN, ECONNRESET].contains(error.errno)
                guard mayPass, monotonicNanoseconds() < giveUp else { throw .troubleCreatingFiles }
            }
            usleep(UInt32(pause / 1000))
            pause = min(pause * 2, Self.longestPause)
        }
    }

    /// The queue's answer if it is there; nil when it has not come yet.
    private func receive() throws(QueueRefusal) -> Acceptance? {
        guard let socket = connection?.raw else { return nil }
        var buffer = [UInt8](repeating: 0, count: 256)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.recv(socket, $0.baseAddress, $0.count, 0) }
            if count > 0 {
                decoder.append(buffer[..<count])
                if let answer = try nextAnswer() { return answer }
            } else if count < 0, errno == EINTR {
                continue
            } else if count < 0, errno == EAGAIN {
                return nil
            } else {
                // Lost between commit and answer: the message may be there. A repetition is better than a loss.
                throw .writeErrorOrDiskFull
            }
        }
    }

    private func nextAnswer() throws(QueueRefusal) -> Acceptance? {
        let answer: InjectAnswer
        do throws(FrameError) {
            guard let frame = try decoder.next() else { return nil }
            answer = try InjectAnswer(frame)
        } catch {
            throw .badEnvelope
        }
        switch answer {
        case .accepted(Self.stream, let id, let qp, let time): return Acceptance(id: id, qp: qp, time: time)
        case .refused(Self.stream, let refusal): throw refusal
        case .accepted, .refused: throw .badEnvelope
        }
    }

    private func wait(for events: Int16) throws(QueueRefusal) {
        var entry = pollfd(fd: connection?.raw ?? -1, events: events, revents: 0)
        let milliseconds = millisecondsLeft
        guard milliseconds > 0, poll(&entry, 1, milliseconds) != 0 else { throw .timeout }
    }
}
