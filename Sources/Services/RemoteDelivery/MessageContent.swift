private import Glibc
package import Posix
package import SMTPClient

/// The bytes of one message that goes out: behind the descriptor of its delivery, a sealed file in memory or a content file that no one writes any
/// more; or on descriptor 0 of qmail-remote.
package final class MessageContent: Sendable {
    private let descriptor: FileDescriptor
    private let start: Int
    package let size: Int

    /// Read at a time: what may block an event loop is bounded by it, and so is the memory of one delivery.
    package static let pieceSize = 64 * 1024

    /// - Parameter start: where in the file the message begins; it goes to the file's end.
    package init(_ descriptor: consuming FileDescriptor, from start: Int = 0) throws(SystemError) {
        self.descriptor = descriptor
        self.start = start
        var info = stat()
        let raw = self.descriptor.raw
        try check("stat") { fstat(raw, &info) }
        size = max(0, Int(info.st_size) - start)
    }

    /// The piece at `offset`, as long as there is more; nil when it cannot be read whole.
    package func piece(at offset: Int) -> [UInt8]? {
        let wanted = min(Self.pieceSize, size - offset)
        let bytes = [UInt8](unsafeUninitializedCapacity: max(0, wanted)) { buffer, filled in
            while filled < wanted {
                let count = pread(descriptor.raw, buffer.baseAddress?.advanced(by: filled), wanted - filled, off_t(start + offset + filled))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                filled += count
            }
        }
        return bytes.count == wanted ? bytes : nil
    }

    /// Its descriptor, which stays this value's, at the beginning of the message: for a program that reads it.
    package func rewound() throws(SystemError) -> Int32 {
        let (raw, start) = (descriptor.raw, off_t(start))
        try check("seek") { lseek(raw, start, SEEK_SET) }
        return raw
    }

    /// What must be known of it before MAIL; nil when it cannot be read whole.
    package func summary() -> ContentSummary? {
        var summary = ContentSummary()
        var offset = 0
        while offset < size {
            guard let piece = piece(at: offset) else { return nil }
            summary.add(piece[...])
            offset += piece.count
        }
        return summary
    }
}
