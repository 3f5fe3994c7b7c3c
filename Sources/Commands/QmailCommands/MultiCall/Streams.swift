private import Bytes
private import Glibc

/// Gathers what is written to a descriptor, so that a list of a million lines is no million calls.
struct Output {
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    /// After a failed write nothing more is tried.
    private(set) var hasFailed = false
    private static let bufferBytes = 1 << 16

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    mutating func write(_ bytes: some Collection<UInt8>) {
        buffer.append(contentsOf: bytes)
        if buffer.count >= Self.bufferBytes { flush() }
    }

    mutating func write(_ text: String) { write(text.utf8) }

    mutating func flush() {
        if !hasFailed { hasFailed = !writeAll(buffer[...], to: descriptor) }
        buffer.removeAll(keepingCapacity: true)
    }
}

/// - Returns: false when the descriptor does not take all.
@discardableResult
func writeAll(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Bool {
    var left = bytes
    while !left.isEmpty {
        let count = left.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count > 0 {
            left = left.dropFirst(count)
        } else if errno == EAGAIN {
            // A terminal or pipe that somebody else made non-blocking.
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            poll(&entry, 1, -1)
        } else if errno != EINTR {
            return false
        }
    }
    return true
}

/// Reads a descriptor in chunks, or by lines.
struct Input {
    struct Failure: Error { let errno: Int32 }

    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var start = 0
    private(set) var isAtEnd = false
    private var lineEnds: LineEnds?
    /// What the next read asks for: a small message must not pay for the room of a large one.
    private var chunkBytes = 1 << 12
    private static let maxChunkBytes = 1 << 16

    /// - Parameters:
    ///   - bytes: what is read before anything of the descriptor.
    ///   - lineEnds: what becomes of CRLF; nil = it stays.
    init(_ descriptor: Int32, after bytes: [UInt8] = [], lineEnds: LineEnds? = nil) {
        self.descriptor = descriptor
        self.lineEnds = lineEnds
        buffer = bytes
    }

    /// The next bytes, whatever comes first; nil at the end.
    mutating func chunk() throws(Failure) -> ArraySlice<UInt8>? {
        if start == buffer.count { try fill() }
        guard start < buffer.count else { return nil }
        defer { start = buffer.count }
        return buffer[start...]
    }

    /// The next line with its LF, which the last may lack; nil at the end.
    /// - Parameter limit: a longer line ends there, without LF.
    mutating func line(limit: Int) throws(Failure) -> ArraySlice<UInt8>? {
        var scanned = start
        while true {
            if let end = buffer[scanned...].firstIndex(of: ASCII.lf) { return take(end + 1) }
            scanned = buffer.count
            if isAtEnd || scanned - start >= limit { return start < scanned ? take(scanned) : nil }
            let shift = start
            try fill()
            scanned -= shift
        }
    }

    private mutating func take(_ end: Int) -> ArraySlice<UInt8> {
        defer { start = end }
        return buffer[start..<end]
    }

    /// Drops what was taken and reads more.
    private mutating func fill() throws(Failure) {
        buffer.removeFirst(start)
        start = 0
        let old = buffer.count
        // All that came may be held back: a CR.
        repeat {
            try append()
            lineEnds?.convert(&buffer, from: old, isAtEnd: isAtEnd)
        } while !isAtEnd && buffer.count == old
    }

    /// One read, behind what is there.
    private mutating func append() throws(Failure) {
        let old = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: chunkBytes))
        while true {
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress?.advanced(by: old), $0.count - old) }
            if count < 0, errno == EINTR { continue }
            let code = errno
            buffer.removeLast(chunkBytes - max(0, count))
            guard count >= 0 else { throw Failure(errno: code) }
            isAtEnd = count == 0
            if count == chunkBytes { chunkBytes = min(2 * chunkBytes, Self.maxChunkBytes) }
            return
        }
    }
}

/// Makes sure that 0, 1 and 2 are open, so that nothing opened later takes their numbers. Those that were closed stay useless: reading or writing
/// them fails.
/// - Parameter readers: those that this program reads; the others it writes.
func occupyStandardDescriptors(readers: Set<Int32>) {
    for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) < 0 {
        // open takes the lowest free number: this one, since those below are open by now.
        _ = open("/dev/null", readers.contains(descriptor) ? O_WRONLY : O_RDONLY)
    }
}
