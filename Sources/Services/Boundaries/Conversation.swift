package import Frames
private import Glibc
package import Posix

/// Frames to and from a role on a stream, for a program that has nothing else to do: every call blocks. The working directory must be the qmail home.
package final class Conversation {
    private let connection: FileDescriptor
    private var decoder: FrameDecoder
    private let silenceMilliseconds: Int32

    /// - Parameters:
    ///   - maxLength: of frames that may come.
    ///   - silenceMilliseconds: how long the role may be silent.
    package init(_ boundary: Boundary, maxLength: Int, silenceMilliseconds: Int32) throws(SystemError) {
        connection = try boundary.connect()
        decoder = FrameDecoder(maxLength: maxLength)
        self.silenceMilliseconds = silenceMilliseconds
    }

    /// Sends what `encode` appends; a request, which fits in the socket.
    /// - Returns: false when the role is gone.
    package func send(_ encode: (inout [UInt8]) -> Void) -> Bool {
        var output: [UInt8] = []
        encode(&output)
        let sent = output.withUnsafeBytes { Glibc.send(connection.raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        return sent == output.count
    }

    /// - Returns: nil when the role is gone, or was silent for too long.
    /// - Throws: for what is no frame.
    package func next() throws(FrameError) -> Frame? {
        while true {
            if let frame = try decoder.next() { return frame }
            guard receive() else { return nil }
        }
    }

    private func receive() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = buffer.withUnsafeMutableBytes { recv(connection.raw, $0.baseAddress, $0.count, 0) }
            if count > 0 {
                decoder.append(buffer[..<count])
                return true
            }
            guard count < 0, errno == EAGAIN || errno == EINTR else { return false }
            var entry = pollfd(fd: connection.raw, events: Int16(POLLIN), revents: 0)
            if poll(&entry, 1, silenceMilliseconds) == 0 { return false }
        }
    }
}
