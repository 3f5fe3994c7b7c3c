private import Glibc
internal import Posix

/// Two descriptors of one conversation, each read and write with a limit of time of its own, as qmail's network programs have it.
struct TimedStream {
    enum Failure: Error, Equatable {
        /// Nothing moved for the whole time.
        case timeout
        /// The other side is gone.
        case broken(errno: Int32)
    }

    private let input: Int32
    private let output: Int32
    private let milliseconds: Int32
    /// A socket says itself whether it would block, and takes all that it has room for.
    private let outputIsSocket: Bool
    private static let readBytes = 1 << 14
    /// What a pipe takes at once when `poll` calls it writable; a write of no more cannot block for long.
    private static let writeBytes = 4096

    init(input: Int32, output: Int32, seconds: UInt64) {
        self.input = input
        self.output = output
        milliseconds = Int32(clamping: seconds.multipliedReportingOverflow(by: 1000).overflow ? .max : seconds * 1000)
        var info = stat()
        outputIsSocket = fstat(output, &info) == 0 && info.st_mode & S_IFMT == S_IFSOCK
    }

    /// Gives `take` what comes, until it says that it wants no more, or the other side has ended.
    func forEachPiece(_ take: ([UInt8]) throws(Failure) -> Bool) throws(Failure) {
        while true {
            let bytes = try read()
            guard !bytes.isEmpty, try take(bytes) else { return }
        }
    }

    /// The next bytes, whatever comes first; empty at the end.
    func read() throws(Failure) -> [UInt8] {
        while true {
            try wait(input, Int16(POLLIN))
            var code: Int32 = 0
            var count = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: Self.readBytes) { buffer, filled in
                count = Glibc.read(input, buffer.baseAddress, buffer.count)
                code = errno
                filled = max(0, count)
            }
            if count >= 0 { return bytes }
            if code != EINTR, code != EAGAIN { throw .broken(errno: code) }
        }
    }

    func write(_ bytes: [UInt8]) throws(Failure) {
        var left = bytes[...]
        while !left.isEmpty {
            let count: Int
            if outputIsSocket {
                count = left.withUnsafeBytes { send(output, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL)) }
            } else {
                try wait(output, Int16(POLLOUT))
                count = left.prefix(Self.writeBytes).withUnsafeBytes { Glibc.write(output, $0.baseAddress, $0.count) }
            }
            if count >= 0 {
                left = left.dropFirst(count)
            } else if outputIsSocket, errno == EAGAIN {
                try wait(output, Int16(POLLOUT))
            } else if errno != EINTR, errno != EAGAIN {
                throw .broken(errno: errno)
            }
        }
    }

    private func wait(_ descriptor: Int32, _ events: Int16) throws(Failure) {
        let giveUp = monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
        while true {
            let now = monotonicNanoseconds()
            var entry = pollfd(fd: descriptor, events: events, revents: 0)
            let ready = poll(&entry, 1, now < giveUp ? Int32((giveUp - now + 999_999) / 1_000_000) : 0)
            if ready > 0 { return }
            if ready == 0 { throw .timeout }
            if errno != EINTR { throw .broken(errno: errno) }
        }
    }
}
