private import Glibc
internal import Posix

/// The bytes of one message, behind the descriptor that came with its delivery: a sealed file in memory, or a content file that no one writes any more.
final class MessageContent: Sendable {
    private let descriptor: FileDescriptor
    let size: Int

    /// Read at a time: what may block the event loop is bounded by it, and so is the memory of one delivery.
    static let pieceSize = 64 * 1024

    init(_ descriptor: consuming FileDescriptor) throws(SystemError) {
        self.descriptor = descriptor
        var info = stat()
        let raw = self.descriptor.raw
        try check("stat") { fstat(raw, &info) }
        size = Int(info.st_size)
    }

    /// The piece at `offset`, as long as there is more; nil when it cannot be read whole.
    func piece(at offset: Int) -> [UInt8]? {
        let wanted = min(Self.pieceSize, size - offset)
        let bytes = [UInt8](unsafeUninitializedCapacity: max(0, wanted)) { buffer, filled in
            while filled < wanted {
                let count = pread(descriptor.raw, buffer.baseAddress?.advanced(by: filled), wanted - filled, off_t(offset + filled))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                filled += count
            }
        }
        return bytes.count == wanted ? bytes : nil
    }
}
