import Addresses
import Bytes
import QMQP
import QMTP
import Reception

/// A server machine with a queue of its own, which answers at once.
struct Conversation<Server: PackageServer> {
    struct Message: Equatable {
        var content: String
        var sender: String
        var recipients: [String]
    }

    private var server: Server
    private var content: [UInt8] = []
    /// The queue has refused it already: what else is said of this message concerns nobody.
    private var isRefused = false
    private(set) var messages: [Message] = []
    private(set) var output: [UInt8] = []
    private(set) var begun = 0
    private(set) var aborted = 0
    private(set) var ending: PackageEnding?
    /// What the queue says to all of a message; nil leaves the question open.
    var answer: QueueAnswer? = .accepted(time: 1_700_000_000, qp: 42)
    /// What it says as soon as a message begins.
    var earlyAnswer: QueueAnswer?

    static var time: UInt64 { 812_090_814 }

    init(_ server: Server) { self.server = server }

    mutating func say(_ bytes: [UInt8]) { perform(server.bytesReceived(bytes, time: Self.time)) }
    mutating func say(_ text: String) { say(Array(text.utf8)) }
    mutating func sayEachByte(_ text: String) { for byte in text.utf8 { say([byte]) } }
    mutating func hangUp() { perform(server.clientEnded()) }
    mutating func answerNow(_ answer: QueueAnswer) { perform(server.queueAnswered(answer, time: Self.time)) }

    private mutating func perform(_ first: [PackageAction]) {
        var waiting = first[...]
        while let action = waiting.popFirst() {
            switch action {
            case .send(let bytes): output += bytes
            case .begin:
                begun += 1
                content = []
                isRefused = earlyAnswer != nil
                if let earlyAnswer { waiting += server.queueAnswered(earlyAnswer, time: Self.time) }
            case .content(let bytes): content += bytes
            case .commit where isRefused: break
            case .commit(let envelope):
                let recipients = envelope.recipients.map(\.bytes.text)
                messages.append(Message(content: content.text, sender: envelope.sender.bytes.text, recipients: recipients))
                if let answer { waiting += server.queueAnswered(answer, time: Self.time) }
            case .abort: aborted += 1
            case .close(let ending): self.ending = ending
            }
        }
    }
}

func qmtp(
    _ client: Client = Client(), rcpthosts: Rcpthosts = Rcpthosts([Array("ok.example".utf8)]), databytes: UInt64 = 0,
    limits: PackageLimits = PackageLimits()
) -> Conversation<QMTPSession> { Conversation(QMTPSession(client, rcpthosts, databytes: databytes, limits: limits)) }

func qmqp(_ client: Client = Client(), limits: PackageLimits = PackageLimits()) -> Conversation<QMQPSession> {
    Conversation(QMQPSession(client, limits: limits))
}

func netstring(_ text: String) -> String { "\(text.utf8.count):\(text)," }

/// A package of QMTP.
func qmtpPackage(_ message: String, _ sender: String, _ recipients: [String]) -> String {
    netstring(message) + netstring(sender) + netstring(recipients.map(netstring).joined())
}

/// A request of QMQP.
func request(_ message: String, _ sender: String, _ recipients: [String]) -> String {
    netstring(([message, sender] + recipients).map(netstring).joined())
}

let received = "Received: from unknown (unknown)\n  by unknown with QMTP; 26 Sep 1995 04:46:54 -0000\n"
let ok = netstring("Kok 1700000000 qp 42")
