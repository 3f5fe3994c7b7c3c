private import Boundaries
package import Frames
private import Glibc
package import Posix

/// Asks the queue over `run/admin`, blocking. The working directory must be the qmail home.
///
/// Module `QueueAdministration` is the administrator's side of `run/admin`. It must not know how answers are shown.
package final class AdminClient {
    package enum Failure: Error, Equatable {
        case connecting(SystemError)
        /// The queue went away, was silent for too long, or said what no queue says.
        case lost

        package var text: String {
            switch self {
            case .connecting(let error): "unable to reach the queue: \(error)"
            case .lost: "lost the queue"
            }
        }
    }

    /// How long the queue may be silent.
    private static let silenceMilliseconds: Int32 = 60_000

    private let connection: FileDescriptor
    private var decoder = FrameDecoder(maxLength: Admin.Answer.maxLength)

    package init() throws(Failure) {
        do throws(SystemError) { connection = try Boundary.admin.connect() } catch { throw .connecting(error) }
    }

    /// Calls `onAnswer` for all that comes before `end`.
    package func ask(_ request: Admin.Request, _ onAnswer: (Admin.Answer) -> Void) throws(Failure) {
        var output: [UInt8] = []
        request.encode(into: &output)
        let sent = output.withUnsafeBytes { send(connection.raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard sent == output.count else { throw .lost }
        while true {
            let answer = try next()
            if answer == .end { return }
            onAnswer(answer)
        }
    }

    private func next() throws(Failure) -> Admin.Answer {
        do throws(FrameError) {
            while true {
                if let frame = try decoder.next() { return try Admin.Answer(frame) }
                guard receive() else { break }
            }
        } catch {}
        throw .lost
    }

    private func receive() -> Bool {
        var buffer = [UInt8](repeating: 0, count: Admin.Answer.maxLength)
        while true {
            let count = buffer.withUnsafeMutableBytes { recv(connection.raw, $0.baseAddress, $0.count, 0) }
            if count > 0 {
                decoder.append(buffer[..<count])
                return true
            }
            guard count < 0, errno == EAGAIN || errno == EINTR else { return false }
            var entry = pollfd(fd: connection.raw, events: Int16(POLLIN), revents: 0)
            if poll(&entry, 1, Self.silenceMilliseconds) == 0 { return false }
        }
    }
}
