internal import Reception
internal import SMTPServer

/// What a ``SessionHandler`` drives: a machine that takes a client's bytes and the answers of queue and route, and says what is to be done.
protocol ClientSession: ~Copyable {
    mutating func opened() -> [Session.Action]
    mutating func openedForTLS() -> [Session.Action]
    mutating func tlsBegan(_ details: TLSDetails) -> [Session.Action]
    mutating func bytesReceived(_ bytes: UnsafeRawBufferPointer, _ moment: Session.Moment) -> [Session.Action]
    mutating func routeAnswered(_ verdict: Session.RecipientVerdict, _ moment: Session.Moment) -> [Session.Action]
    mutating func checkAnswered(_ outcome: Session.CheckOutcome, _ moment: Session.Moment) -> [Session.Action]
    mutating func listsAnswered(_ text: [UInt8]?, _ moment: Session.Moment) -> [Session.Action]
    mutating func queueAnswered(_ answer: Session.QueueAnswer, _ moment: Session.Moment) -> [Session.Action]
    mutating func loginAnswered(_ answer: Session.LoginAnswer, _ moment: Session.Moment) -> [Session.Action]
    mutating func permissionAnswered(_ permission: Session.Permission, _ moment: Session.Moment) -> [Session.Action]
    mutating func timedOut() -> [Session.Action]
    mutating func shutdownBegan() -> [Session.Action]
    mutating func shutdownEnded() -> [Session.Action]
    mutating func clientEnded() -> [Session.Action]
    var wantsInput: Bool { get }
    var client: Client { get }
    var isEncrypted: Bool { get }
    var progress: Deadlines.Progress { get }
}

/// For those who know no TLS and ask nobody but the queue.
extension ClientSession where Self: ~Copyable {
    var client: Client { Client() }
    var isEncrypted: Bool { false }
    mutating func openedForTLS() -> [Session.Action] { [] }
    mutating func tlsBegan(_: TLSDetails) -> [Session.Action] { [] }
    mutating func routeAnswered(_: Session.RecipientVerdict, _: Session.Moment) -> [Session.Action] { [] }
    mutating func checkAnswered(_: Session.CheckOutcome, _: Session.Moment) -> [Session.Action] { [] }
    mutating func listsAnswered(_: [UInt8]?, _: Session.Moment) -> [Session.Action] { [] }
    mutating func loginAnswered(_: Session.LoginAnswer, _: Session.Moment) -> [Session.Action] { [] }
    mutating func permissionAnswered(_: Session.Permission, _: Session.Moment) -> [Session.Action] { [] }
}

extension Session: ClientSession {}
