package import Frames
private import Glibc
package import Posix

/// One stream connection on a loop, speaking frames. Answers queued during one turn of the loop leave in one write.
package final class FramePeer {
    /// A bad frame closes the connection: return false or throw ``FrameError``.
    private var onFrame: (Frame) throws(FrameError) -> Void
    private var onClose: (FrameError?) -> Void
    private let descriptor: FileDescriptor
    private let loop: EventLoop
    private var decoder: FrameDecoder
    private var output: [UInt8] = []
    private var written = 0
    private var flushScheduled = false
    private var isOpen = true
    private var isPaused = false
    /// Waits for the peer to take what it was sent.
    private var isHeldBack = false

    /// While more than this is ``unsent``, the peer's frames wait: who does not take answers gets no more of them. For the side that answers: two
    /// peers that both hold back would wait for each other.
    package var unsentLimit = Int.max

    private static let readSize = 1 << 17
    /// What was written is cut off the front of ``output`` when it is this much, and more than the rest.
    private static let compactBytes = 1 << 16

    /// - Parameters:
    ///   - maxLength: of frames the peer may send.
    ///   - onClose: called once; with the reason when the peer broke the protocol.
    package init(
        _ descriptor: consuming FileDescriptor, on loop: EventLoop, maxLength: Int,
        onFrame: @escaping (Frame) throws(FrameError) -> Void, onClose: @escaping (FrameError?) -> Void
    ) throws(SystemError) {
        self.descriptor = descriptor
        self.loop = loop
        decoder = FrameDecoder(maxLength: maxLength)
        self.onFrame = onFrame
        self.onClose = onClose
        try loop.add(self.descriptor.raw, .read) { [weak self] interest in self?.ready(interest) }
    }

    deinit { loop.remove(descriptor.raw) }

    /// Queues frames; `encode` appends them.
    package func send(_ encode: (inout [UInt8]) -> Void) {
        guard isOpen else { return }
        encode(&output)
        guard !flushScheduled else { return }
        flushScheduled = true
        loop.atEndOfTurn { [weak self] in
            self?.flushScheduled = false
            self?.flush()
        }
    }

    /// Bytes that the peer has not taken yet.
    package var unsent: Int { output.count - written }

    /// Stops taking frames until ``resume()``: the peer's writes then wait in the kernel.
    package func pause() {
        isPaused = true
        updateInterest()
    }

    package func resume() {
        guard isPaused, isOpen else { return }
        isPaused = false
        updateInterest()
        loop.atEndOfTurn { [weak self] in self?.handleFrames() }
    }

    package func close(_ reason: FrameError? = nil) {
        guard isOpen else { return }
        isOpen = false
        loop.remove(descriptor.raw)
        shutdown(descriptor.raw, Int32(SHUT_RDWR))
        let onClose = self.onClose
        self.onClose = { _ in }
        onFrame = { _ in }
        onClose(reason)
    }

    private func updateInterest() {
        guard isOpen else { return }
        var interest: EventLoop.Interest = isPaused || isHeldBack ? [] : .read
        if unsent > 0 { interest.insert(.write) }
        loop.change(descriptor.raw, to: interest)
    }

    private func ready(_ interest: EventLoop.Interest) {
        if interest.contains(.write) { flush() }
        if interest.contains(.read) { receive() }
        // The kernel's hang-up with nothing left to read.
        if isOpen, !interest.contains(.read), !interest.isDisjoint(with: .broken) { close() }
    }

    private func receive() {
        let count = withUnsafeTemporaryAllocation(byteCount: Self.readSize, alignment: 1) { buffer -> Int in
            let count = read(descriptor.raw, buffer.baseAddress, buffer.count)
            if count > 0 { decoder.append(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count])) }
            return count
        }
        if count > 0 {
            handleFrames()
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            close()
        }
    }

    private func handleFrames() {
        do throws(FrameError) {
            while isOpen, !isPaused, !isHeldBack, let frame = try decoder.next() {
                try onFrame(frame)
                isHeldBack = unsent > unsentLimit
            }
        } catch {
            return close(error)
        }
        if isHeldBack { updateInterest() }
    }

    private func letGo() {
        guard isHeldBack, unsent <= unsentLimit else { return }
        isHeldBack = false
        loop.atEndOfTurn { [weak self] in self?.handleFrames() }
    }

    private func flush() {
        while isOpen, unsent > 0 {
            let count = output.withUnsafeBytes { bytes in
                Glibc.send(descriptor.raw, bytes.baseAddress?.advanced(by: written), bytes.count - written, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                written += count
            } else if errno == EAGAIN {
                break
            } else if errno != EINTR {
                return close()
            }
        }
        if unsent == 0 {
            output.removeAll(keepingCapacity: output.capacity <= 1 << 20)
            written = 0
        } else if written > Self.compactBytes, written > unsent {
            output.removeFirst(written)
            written = 0
        }
        letGo()
        updateInterest()
    }
}
