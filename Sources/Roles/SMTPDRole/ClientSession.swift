private import Addresses
internal import SMTPServer

/// What a ``SessionHandler`` drives: a machine that takes a client's bytes and the answers of queue and route, and says what is to be done.
protocol ClientSession: ~Copyable {
    mutating func opened() -> [Session.Action]
    mutating func bytesReceived(_ bytes: UnsafeRawBufferPointer, _ moment: Session.Moment) -> [Session.Action]
    mutating func routeAnswered(_ verdict: Session.RecipientVerdict, _ moment: Session.Moment) -> [Session.Action]
    mutating func queueAnswered(_ answer: Session.QueueAnswer, _ moment: Session.Moment) -> [Session.Action]
    mutating func timedOut() -> [Session.Action]
    mutating func shutdownBegan() -> [Session.Action]
    mutating func shutdownEnded() -> [Session.Action]
    mutating func clientEnded() -> [Session.Action]
    var wantsInput: Bool { get }
    var progress: Deadlines.Progress { get }
}

extension Session: ClientSession {}
