internal import Addresses
private import Bytes
private import CPosix
internal import Posix

/// The lines of qmail-send, exactly (spec-qmail §10.1): existing log tools read them. Lines of one turn of the loop leave in few writes.
final class QueueLog {
    private let loop: EventLoop
    private var buffer: [UInt8] = []

    /// A write to a pipe of up to this many bytes is never mixed with those of others.
    private static let pipeAtomBytes = 4096

    init(_ loop: EventLoop) { self.loop = loop }

    func line(_ text: String) {
        // After all else of this turn: answers to clients do not wait for lines.
        if buffer.isEmpty { loop.atEndOfTurn { [self] in loop.atEndOfTurn { [self] in flush() } } }
        let bytes = text.utf8.prefix(maxLogLine)
        if buffer.count + bytes.count + 1 > Self.pipeAtomBytes { flush() }
        buffer.append(contentsOf: bytes)
        buffer.append(ASCII.lf)
    }

    func flush() {
        buffer.withUnsafeBytes { martlet_log($0.baseAddress, $0.count) }
        buffer.removeAll(keepingCapacity: true)
    }

    func newMessage(_ id: UInt64) { line("new msg \(id)") }

    func info(_ id: UInt64, bytes: Int, sender: [UInt8], qp: UInt64, uid: UInt32) {
        line("info msg \(id): bytes \(bytes) from <\(logsafe(sender))> qp \(qp) uid \(uid)")
    }

    func starting(_ delivery: UInt64, _ id: UInt64, _ channel: Channel, _ recipient: ArraySlice<UInt8>) {
        line("starting delivery \(delivery): msg \(id) to \(channel == .local ? "local" : "remote") \(logsafe(recipient))")
    }

    func ended(_ delivery: UInt64, _ outcome: String, _ text: ArraySlice<UInt8>) { line("delivery \(delivery): \(outcome): \(logsafe(text))") }

    func endOfMessage(_ id: UInt64) { line("end msg \(id)") }
}
