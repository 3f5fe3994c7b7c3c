private import CPosix
package import Frames
private import Glibc
package import Posix

/// One SEQPACKET connection on a loop: a packet is a frame, and a descriptor can travel with it.
package final class PacketPeer {
    private var onFrame: (Frame, consuming FileDescriptor?) throws(FrameError) -> Void
    private var onClose: (FrameError?) -> Void
    private let descriptor: FileDescriptor
    private let loop: EventLoop
    private var waiting: [Packet] = []
    private var isOpen = true

    private final class Packet {
        let bytes: [UInt8]
        let attachment: Attachment?
        init(_ bytes: [UInt8], _ attachment: Attachment?) {
            self.bytes = bytes
            self.attachment = attachment
        }
    }

    /// A descriptor that may have to wait for room in the socket, and may be sent to several peers.
    package final class Attachment {
        package let descriptor: FileDescriptor
        package init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
    }

    /// Packets beyond this are no frames of ours.
    package static let maxPacketBytes = 192 * 1024

    package init(
        _ descriptor: consuming FileDescriptor, on loop: EventLoop,
        onFrame: @escaping (Frame, consuming FileDescriptor?) throws(FrameError) -> Void, onClose: @escaping (FrameError?) -> Void
    ) throws(SystemError) {
        self.descriptor = descriptor
        self.loop = loop
        self.onFrame = onFrame
        self.onClose = onClose
        _ = martlet_set_nonblocking(self.descriptor.raw)
        try loop.add(self.descriptor.raw, .read) { [weak self] interest in self?.ready(interest) }
    }

    deinit { loop.remove(descriptor.raw) }

    /// Whether packets wait for room: the peer does not read.
    package var isBlocked: Bool { !waiting.isEmpty }

    package func send(_ packet: [UInt8], _ attachment: Attachment? = nil) {
        guard isOpen else { return }
        waiting.append(Packet(packet, attachment))
        if waiting.count == 1 { flush() }
    }

    package func close(_ reason: FrameError? = nil) {
        guard isOpen else { return }
        isOpen = false
        loop.remove(descriptor.raw)
        shutdown(descriptor.raw, Int32(SHUT_RDWR))
        let onClose = self.onClose
        self.onClose = { _ in }
        onFrame = { _, _ in }
        onClose(reason)
    }

    private func flush() {
        var sent = 0
        defer {
            waiting.removeFirst(min(sent, waiting.count))
            if isOpen { loop.change(descriptor.raw, to: waiting.isEmpty ? .read : [.read, .write]) }
        }
        while isOpen, sent < waiting.count {
            let packet = waiting[sent]
            let result = packet.bytes.withUnsafeBytes { bytes in
                var part = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
                return martlet_send(descriptor.raw, &part, 1, packet.attachment?.descriptor.raw ?? -1, Int32(MSG_DONTWAIT))
            }
            if result >= 0 {
                sent += 1
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                return close()
            }
        }
    }

    private func ready(_ interest: EventLoop.Interest) {
        if interest.contains(.write) { flush() }
        if interest.contains(.read) { receive() }
        if isOpen, !interest.contains(.read), !interest.isDisjoint(with: .broken) { close() }
    }

    private func receive() {
        withUnsafeTemporaryAllocation(byteCount: Self.maxPacketBytes, alignment: 1) { buffer in
            while isOpen {
                var passed: Int32 = -1
                let count = martlet_receive(descriptor.raw, buffer.baseAddress, buffer.count, &passed, Int32(MSG_DONTWAIT))
                // ECONNRESET: the peer ended with packets unread; the kernel says so once, in front of what it had sent before.
                if count < 0, errno == EINTR || errno == ECONNRESET { continue }
                if count < 0, errno == EAGAIN { return }
                guard count > 0, let frame = Frame(packet: Array(buffer[..<count])[...]) else {
                    if passed >= 0 { Glibc.close(passed) }
                    return close(count < 0 && errno == EMSGSIZE ? .tooLong(Self.maxPacketBytes) : nil)
                }
                do throws(FrameError) {
                    if passed >= 0 {
                        try onFrame(frame, FileDescriptor(owning: passed))
                    } else {
                        try onFrame(frame, nil)
                    }
                } catch {
                    close(error)
                }
            }
        }
    }
}
