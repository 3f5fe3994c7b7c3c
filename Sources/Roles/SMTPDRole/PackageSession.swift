private import Addresses
internal import Reception
internal import SMTPServer

/// A machine of QMTP or QMQP, driven as an SMTP session is: it asks nobody about recipients and has no words for a timeout or a shutdown, so it closes
/// without any, and the client tries again.
struct PackageSession<Server: PackageServer>: ClientSession {
    private enum Stage {
        case between
        case message
        case awaitingQueue
        case closed
    }

    private var server: Server
    private var stage = Stage.between
    private var messages: UInt64 = 0
    /// The queue was out of reach when the message began: the machine knows, and none of it goes anywhere.
    private var isRefused = false
    private var isShuttingDown = false

    init(_ server: Server) { self.server = server }

    var wantsInput: Bool { server.wantsInput }

    var progress: Deadlines.Progress {
        let phase: Session.Phase =
            switch stage {
            case .between: .command
            case .message: .message
            case .awaitingQueue: .waiting
            case .closed: .closed
            }
        return .init(phase: phase, commands: messages, isInTransaction: stage == .message || stage == .awaitingQueue, transactions: messages)
    }

    mutating func opened() -> [Session.Action] { [] }

    mutating func bytesReceived(_ bytes: UnsafeRawBufferPointer, _ moment: Session.Moment) -> [Session.Action] {
        actions(for: server.bytesReceived(Array(bytes), time: moment.time), moment)
    }

    mutating func queueAnswered(_ answer: Session.QueueAnswer, _ moment: Session.Moment) -> [Session.Action] {
        // Neither a yes nor a no would be true.
        if answer == .lost, stage == .awaitingQueue { return close() }
        if stage == .awaitingQueue { stage = .between }
        let actions = actions(for: server.queueAnswered(answer.ofPackages, time: moment.time), moment)
        return isShuttingDown && stage == .between ? actions + close() : actions
    }

    mutating func timedOut() -> [Session.Action] { close() }

    mutating func shutdownBegan() -> [Session.Action] {
        isShuttingDown = true
        return stage == .between ? close() : []
    }

    mutating func shutdownEnded() -> [Session.Action] { close() }

    mutating func clientEnded() -> [Session.Action] {
        defer { stage = .closed }
        return server.clientEnded().contains(.abort) ? [.abort] : []
    }

    private mutating func close() -> [Session.Action] {
        guard stage != .closed else { return [] }
        return clientEnded() + [.close]
    }

    private mutating func actions(for first: [PackageAction], _ moment: Session.Moment) -> [Session.Action] {
        var result: [Session.Action] = []
        var waiting = first[...]
        while let action = waiting.popFirst() {
            switch action {
            case .send(let bytes):
                // A response is the end of its message, however that came.
                if stage == .message { stage = .between }
                result.append(.send(bytes))
            case .begin:
                messages &+= 1
                stage = .message
                isRefused = !moment.queueIsReachable
                if isRefused {
                    waiting += server.queueAnswered(.refused(isPermanent: false, text: "qqt failure (#4.3.0)"), time: moment.time)
                } else {
                    result.append(.begin)
                }
            case .content(let bytes): if !isRefused { result.append(.content(Array(bytes))) }
            case .commit(let envelope):
                guard !isRefused else { continue }
                stage = .awaitingQueue
                result.append(.commit(envelope))
            case .abort:
                stage = .between
                result.append(.abort)
            case .close:
                stage = .closed
                result.append(.close)
            }
        }
        return result
    }
}

extension Session.QueueAnswer {
    fileprivate var ofPackages: QueueAnswer {
        switch self {
        case .accepted(let time, let qp): .accepted(time: time, qp: qp)
        case .refused(let isPermanent, let text): .refused(isPermanent: isPermanent, text: text)
        case .full(let text): .refused(isPermanent: false, text: text)
        case .lost: .refused(isPermanent: false, text: "qq temporary problem (#4.3.0)")
        }
    }
}
