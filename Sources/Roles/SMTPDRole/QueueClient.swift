internal import Addresses
private import Boundaries
private import Bytes
private import FrameChannels
private import Frames
internal import NIOCore
internal import SMTPServer

/// Hands messages to the queue: one connection to `run/inject`, a stream for each message under way.
final class QueueClient {
    /// Who is told how a message ended.
    protocol Submitter: AnyObject {
        func queueAnswered(_ answer: Session.QueueAnswer)
    }

    typealias Stream = UInt32

    private let client: FrameClient
    private var submitters: [Stream: any Submitter] = [:]
    private var lastStream: Stream = 0
    /// The queue takes content again.
    var onWritable: () -> Void = {}

    /// Bytes of addresses in one frame, far below what a frame may hold.
    private static let recipientBytesPerFrame = 1 << 16

    init(on loop: any NIOCore.EventLoop) {
        client = FrameClient(Boundary.inject.path, on: loop, maxLength: InjectAnswer.maxLength)
        client.events.connected = { [unowned self] in client.send(InjectRequest.fromNetwork.encode) }
        client.events.frame = { [unowned self] (frame) throws(FrameError) in answered(try InjectAnswer(frame)) }
        client.events.disconnected = { [unowned self] in failAll() }
        client.events.writable = { [unowned self] in onWritable() }
        client.start()
    }

    var isReachable: Bool { client.isConnected }
    var isWritable: Bool { client.isWritable }

    func begin(for submitter: any Submitter) -> Stream {
        repeat { lastStream &+= 1 } while submitters[lastStream] != nil
        submitters[lastStream] = submitter
        return lastStream
    }

    func send(recipients: [Address], _ stream: Stream) {
        var part: [Address] = []
        var bytes = 0
        for recipient in recipients {
            part.append(recipient)
            bytes += recipient.bytes.count + 2
            if bytes >= Self.recipientBytesPerFrame {
                client.send(InjectRequest.recipients(stream: stream, part).encode)
                part = []
                bytes = 0
            }
        }
        if !part.isEmpty { client.send(InjectRequest.recipients(stream: stream, part).encode) }
    }

    func send(content: [UInt8], _ stream: Stream) {
        var rest = content[...]
        while !rest.isEmpty {
            client.send(InjectRequest.content(stream: stream, bytes: rest.prefix(InjectRequest.contentBytesPerFrame)).encode)
            rest = rest.dropFirst(InjectRequest.contentBytesPerFrame)
        }
    }

    func commit(_ stream: Stream, sender: Address) { client.send(InjectRequest.commit(stream: stream, sender: sender).encode) }

    func abort(_ stream: Stream) {
        guard submitters.removeValue(forKey: stream) != nil else { return }
        client.send(InjectRequest.abort(stream: stream).encode)
    }

    /// Nobody waits for this answer any more.
    func forget(_ stream: Stream) { submitters[stream] = nil }

    func stop() { client.stop() }

    private func answered(_ answer: InjectAnswer) {
        switch answer {
        case .accepted(let stream, _, let qp, let time):
            submitters.removeValue(forKey: stream)?.queueAnswered(.accepted(time: time, qp: qp))
        case .refused(let stream, let refusal):
            submitters.removeValue(forKey: stream)?.queueAnswered(QueueClient.answer(refusal))
        }
    }

    private static func answer(_ refusal: QueueRefusal) -> Session.QueueAnswer {
        refusal == .writeErrorOrDiskFull ? .full(text: refusal.text) : .refused(isPermanent: refusal.isPermanent, text: refusal.text)
    }

    private func failAll() {
        let lost = submitters
        submitters = [:]
        for submitter in lost.values { submitter.queueAnswered(.lost) }
    }
}
