private import Glibc
package import Posix

/// The message of one delivery, read at positions of its own: the descriptor may be shared with other deliveries of the message.
package final class MessageContent: Sendable {
    /// Owned here; nothing may move its offset.
    package let descriptor: FileDescriptor
    /// The beginning, all of a small message.
    package let head: [UInt8]
    package let size: Int

    package static let headBytes = 64 * 1024
    private static let chunkBytes = 256 * 1024

    /// Takes over a descriptor of a regular file (or sealed memory) and reads the beginning.
    package init(_ descriptor: consuming FileDescriptor) throws(SystemError) {
        let raw = descriptor.raw
        var info = stat()
        try check("stat") { fstat(raw, &info) }
        guard info.st_mode & S_IFMT == S_IFREG else { throw SystemError(call: "read", subject: "", errno: ESPIPE) }
        size = Int(info.st_size)
        head = try MessageContent.read(raw, at: 0, count: min(size, Self.headBytes))
        self.descriptor = descriptor
    }

    /// The rest after ``head``, piece by piece, until `body` says false.
    package func forEachChunkAfterHead(_ body: ([UInt8]) throws(SystemError) -> Bool) throws(SystemError) {
        var offset = head.count
        while offset < size {
            let chunk = try MessageContent.read(descriptor.raw, at: offset, count: min(size - offset, Self.chunkBytes))
            offset += chunk.count
            guard try body(chunk) else { return }
        }
    }

    /// For a program that reads the message on its descriptor 0: at its beginning, with an offset of its own where the system grants one.
    package func openForProgram() throws(SystemError) -> FileDescriptor {
        // The descriptor may be shared with deliveries to other users, which read at the same time.
        if let own = try? FileDescriptor.open("/proc/self/fd/\(descriptor.raw)", O_RDONLY) { return own }
        let raw = descriptor.raw
        try check("lseek") { lseek(raw, 0, SEEK_SET) }
        return FileDescriptor(owning: try check("dup") { dup(raw) })
    }

    /// Exactly `count` bytes; a file that ends early has been tampered with.
    private static func read(_ descriptor: Int32, at offset: Int, count: Int) throws(SystemError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            while filled < count {
                let got = pread(descriptor, buffer.baseAddress?.advanced(by: filled), count - filled, off_t(offset + filled))
                if got < 0, errno == EINTR { continue }
                guard got > 0 else {
                    failure = got < 0 ? errno : EIO
                    return
                }
                filled += got
            }
        }
        guard failure == 0 else { throw SystemError(call: "read", subject: "", errno: failure) }
        return bytes
    }
}
