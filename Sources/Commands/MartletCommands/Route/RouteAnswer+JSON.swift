private import Accounts
private import Addresses
private import Bytes
private import Frames
private import RemoteDelivery
private import Routing

// For programs. What is not text of UTF-8 is shown as it can be.
extension RouteAnswer {
    var json: String {
        JSON.object(
            [
                ("address", JSON.quoted(asked.bytes.text)), ("recipient", JSON.quoted(recipient.bytes.text)), ("channel", JSON.quoted("\(channel)")),
            ] + because + members)
    }

    private var because: [(String, String)] {
        switch rule {
        case .locals: [("because", JSON.quoted("locals"))]
        case .virtualDomain(let key, _): [("because", JSON.quoted("virtualdomains")), ("key", JSON.quoted(key.text))]
        case .accounts: [("because", JSON.quoted("accounts"))]
        case .none: [("because", "null")]
        }
    }

    private var members: [(String, String)] {
        switch way {
        case .local(let finding, let file):
            let user = finding.user
            return [
                ("user", JSON.quoted(user.name.text)), ("uid", "\(user.uid)"), ("gid", "\(user.gid)"), ("home", JSON.quoted(user.home.text)),
                ("dash", JSON.quoted(user.dash.text)), ("ext", JSON.quoted(user.ext.text)), ("dotQmail", Self.path(file)),
                ("dotQmailIsKnown", "\(file != .unknown)"),
            ]
        case .account(let finding):
            let (mailbox, forwards): ([UInt8]?, [[UInt8]]) =
                switch finding {
                case .nobody: (nil, [])
                case .targets(let targets): (nil, targets)
                case .mailbox(let address, _, let keepsMail, let forwards, _): (keepsMail ? address.bytes : nil, forwards)
                }
            return [
                ("mailbox", mailbox.map { JSON.quoted($0.text) } ?? "null"),
                ("forwards", "[\(forwards.map { JSON.quoted($0.text) }.joined(separator: ","))]"),
            ]
        case .discarded: return [("discarded", "true")]
        case .program(let path): return [("program", JSON.quoted(path.text))]
        case .ended(let report): return [("outcome", JSON.quoted("\(report.outcome)")), ("text", JSON.quoted(report.text.text))]
        case .remote(let key, let plan, let resting):
            let attempts = plan.inOrder.map { Self.object($0, isResting: resting.contains($0.address)) }
            return [
                ("smtproute", key.map { JSON.quoted($0.text) } ?? "null"), ("login", plan.login.map { JSON.quoted($0.user.text) } ?? "null"),
                ("attempts", "[\(attempts.joined(separator: ","))]"),
            ]
        }
    }

    private static func path(_ file: DotQmailSearch) -> String { if case .file(let path) = file { JSON.quoted(path.text) } else { "null" } }

    private static func object(_ attempt: ConnectionPlan.Attempt, isResting: Bool) -> String {
        JSON.object([
            ("preference", "\(attempt.preference)"), ("host", JSON.quoted(attempt.host.text)), ("address", JSON.quoted("\(attempt.address)")),
            ("port", "\(attempt.port)"), ("tls", JSON.quoted(attempt.security.rawValue)), ("beginsWithTLS", "\(attempt.beginsWithTLS)"),
            ("certificateName", JSON.quoted(attempt.certificateName?.text ?? "\(attempt.address)")), ("isResting", "\(isResting)"),
        ])
    }
}
