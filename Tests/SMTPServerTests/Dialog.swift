import Addresses
import Bytes
import MessageHeader
import Reception
import SMTPServer

/// A session with a queue and a route of its own, which answer at once: what is said goes in, what came of it can be looked at.
final class Dialog {
    struct Message: Equatable {
        var envelope = Envelope(sender: .null, recipients: [])
        var content: [UInt8]
    }

    private var session: Session
    private var current: Message?
    private(set) var output: [UInt8] = []
    private(set) var messages: [Message] = []
    private(set) var begun = 0
    private(set) var aborted = 0
    private(set) var asked: [Address] = []
    /// What the program of RCPTCHECK was asked: sender, recipient and HELO.
    private(set) var checked: [String] = []
    private(set) var isClosed = false
    /// What the queue says; nil leaves the question open.
    var queueAnswer: Session.QueueAnswer? = .accepted(time: 1_700_000_000, qp: 42)
    var verdict: (Address) -> Session.RecipientVerdict? = { $0.localPart.elementsEqual("nobody".utf8) ? .nonexistent : .exists }
    var queueIsReachable = true
    var tlsIsReady = false
    /// Handshakes asked for; each stays open until ``encrypt()``.
    private(set) var handshakes = 0
    /// Auth: nil leaves the question open.
    var login: (_ mechanism: String, _ initial: [UInt8]?) -> Session.LoginAnswer? = { _, _ in .success(account: Array("joe".utf8), final: []) }
    var continued: (_ response: [UInt8]) -> Session.LoginAnswer? = { _ in .success(account: Array("joe".utf8), final: []) }
    var permission: (Address) -> Session.Permission? = { _ in .granted(recipients: 1000) }
    /// Asked with a number of recipients; nil leaves the question open.
    var charge: (Int) -> Session.Permission? = { _ in .granted(recipients: 1000) }
    private(set) var logins: [String] = []
    private(set) var cancelled = 0
    private(set) var permitted: [Address] = []
    private(set) var charged: [Int] = []
    private(set) var sent: [Int] = []
    private(set) var limitsNoted = 0

    static let policy = Policy(
        greeting: Array("mx.example".utf8), rcpthosts: Rcpthosts(["ok.example", ".wild.example"].map { Array($0.utf8) }), checksRecipients: true)

    init(
        _ profile: Profile, policy: Policy = Dialog.policy, limits: Limits? = nil, client: Client = Client(), service: Service = .smtp,
        logins: LoginOffer = .none, completion: HeaderCompletion? = nil, greets: Bool = false, tlsFirst: Bool = false
    ) {
        session = Session(
            profile, limits ?? (profile == .classic ? .classic : Limits()), policy, client, service: service, logins: logins,
            completion: completion)
        let actions = tlsFirst ? session.openedForTLS() : session.opened()
        if greets { perform(actions) }
    }

    private var moment: Session.Moment { .init(time: 812_090_814, queueIsReachable: queueIsReachable, tlsIsReady: tlsIsReady) }
    var phase: Session.Phase { session.phase }
    var wantsInput: Bool { session.wantsInput }
    var isInTransaction: Bool { session.isInTransaction }

    func say(_ text: String) { say(Array(text.utf8)) }
    func say(_ bytes: [UInt8]) { perform(session.bytesReceived(bytes, moment)) }
    func say(_ parts: [[UInt8]]) { for part in parts { say(part) } }
    func answer(_ verdict: Session.RecipientVerdict) { perform(session.routeAnswered(verdict, moment)) }
    func answer(_ answer: Session.QueueAnswer) { perform(session.queueAnswered(answer, moment)) }
    func timeOut() { perform(session.timedOut()) }
    func shutDown() { perform(session.shutdownBegan()) }
    func encrypt() {
        perform(session.tlsBegan(TLSDetails(version: Array("TLSv1.3".utf8), cipher: Array("TLS_AES_128_GCM_SHA256".utf8))))
    }
    func awaitLists() { session.awaitsLists = true }
    func answer(lists text: [UInt8]?) { perform(session.listsAnswered(text, moment)) }
    func answer(_ outcome: Session.CheckOutcome) { perform(session.checkAnswered(outcome, moment)) }
    func hangUp() { perform(session.clientEnded()) }

    func answer(_ answer: Session.LoginAnswer) { perform(session.loginAnswered(answer, moment)) }
    func answer(_ permission: Session.Permission) { perform(session.permissionAnswered(permission, moment)) }
    private func loginAnswered(_ answer: Session.LoginAnswer?) { if let answer { self.answer(answer) } }

    /// What was replied since the last call.
    func replies() -> String {
        defer { output = [] }
        return output.text
    }

    func exchange(_ text: String) -> String {
        say(text)
        return replies()
    }

    /// The codes of the replies so far, one for each reply.
    var codes: [Int] {
        var result: [Int] = []
        var start = 0
        while let end = output[start...].firstIndex(of: ASCII.lf) {
            if end - start > 3, output[start + 3] == ASCII.space {
                result.append(Int(output[start]) * 100 + Int(output[start + 1]) * 10 + Int(output[start + 2]) - 48 * 111)
            }
            start = end + 1
        }
        return result
    }

    private func perform(_ actions: [Session.Action]) {
        for action in actions {
            switch action {
            case .send(let bytes): output += bytes
            case .askRoute(let recipient):
                asked.append(recipient)
                if let verdict = verdict(recipient) { answer(verdict) }
            case .begin:
                begun += 1
                precondition(current == nil, "a message began within another")
                current = Message(content: [])
            case .content(let bytes): current?.content += bytes
            case .commit(let envelope):
                current?.envelope = envelope
                if let current { messages.append(current) }
                current = nil
                if let queueAnswer { answer(queueAnswer) }
            case .abort:
                aborted += 1
                current = nil
            case .startTLS: handshakes += 1
            case .checkRecipient(let sender, let recipient, let helo):
                checked.append("\(sender.bytes.text) \(recipient.bytes.text) \(helo.text)")
            case .beginLogin(let mechanism, let initial):
                logins.append(mechanism)
                loginAnswered(login(mechanism, initial))
            case .continueLogin(let response): loginAnswered(continued(response))
            case .cancelLogin: cancelled += 1
            case .askPermission(let sender):
                permitted.append(sender)
                if let permission = permission(sender) { answer(permission) }
            case .charge(let recipients):
                charged.append(recipients)
                if let permission = charge(recipients) { answer(permission) }
            case .noteSent(let recipients, _): sent.append(recipients)
            case .noteLimit: limitsNoted += 1
            case .close: isClosed = true
            }
        }
    }

    /// Ready for DATA or BDAT.
    static func ready(_ profile: Profile = .modern, policy: Policy = Dialog.policy, limits: Limits? = nil, client: Client = Client()) -> Dialog {
        let dialog = Dialog(profile, policy: policy, limits: limits, client: client)
        dialog.say("EHLO c\r\nMAIL FROM:<s@x.example>\r\nRCPT TO:<r@ok.example>\r\n")
        dialog.output = []
        return dialog
    }
}

/// The content of a message without the Received field in front.
extension Dialog.Message {
    var body: [UInt8] {
        let lines = content.split(separator: ASCII.lf, maxSplits: 2, omittingEmptySubsequences: false)
        return Array(lines.last ?? [])
    }
}
