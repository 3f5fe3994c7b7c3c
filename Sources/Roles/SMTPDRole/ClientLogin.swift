internal import Addresses
private import Bytes
private import ConnectionRules
private import Frames
internal import Logins
private import Posix
internal import SMTPServer

/// The login of one connection: between its session and auth, with a line in the log for what came of it. Client and account come before anything
/// that a client chose; what it said to prove who it is comes nowhere.
final class ClientLogin {
    private let auth: AuthClient
    private let address: IPAddress?
    private let name: String
    private var exchange: AuthClient.Exchange?
    private var mechanism = ""
    private var account: [UInt8] = []

    init(_ auth: AuthClient, from address: IPAddress?) {
        self.auth = auth
        self.address = address
        name = ConnectionOrigin(address: address).addressText.text
    }

    func begin(_ mechanism: String, _ initial: [UInt8]?, isEncrypted: Bool, _ answer: @escaping (Session.LoginAnswer) -> Void) {
        self.mechanism = mechanism
        let origin = Login.Origin(address: address?.bytes[...] ?? [], isEncrypted: isEncrypted)
        exchange = auth.begin(.submission, origin, mechanism: Array(mechanism.utf8), initial: initial) { [weak self] step in
            if let self { answer(take(step)) }
        }
    }

    func respond(_ bytes: [UInt8]) { if let exchange { auth.respond(exchange, bytes) } }

    func cancel() {
        if let exchange { auth.cancel(exchange) }
        exchange = nil
    }

    private func take(_ step: AuthClient.Step) -> Session.LoginAnswer {
        switch step {
        case .challenge(let bytes): return .challenge(bytes)
        case .success(let success):
            exchange = nil
            account = success.account
            log("smtpd: login from \(name) by \(mechanism): \(logsafe(account))")
            return .success(account: account, final: success.final)
        case .failure(let refusal):
            exchange = nil
            log("smtpd: login from \(name) by \(mechanism) failed: \(refusal)")
            return .failure(.init(refusal))
        }
    }

    func askPermission(_ sender: Address, _ answer: @escaping (Session.Permission) -> Void) {
        auth.permit(account, sender: sender) { [weak self] permission in
            if let self { answer(judge(permission, sender)) }
        }
    }

    private func judge(_ permission: AuthClient.Permission?, _ sender: Address) -> Session.Permission {
        guard let permission else { return .unavailable }
        switch permission.verdict {
        case .granted: return .granted(recipients: Int(permission.recipients))
        case .limitReached: return .limitReached
        case .foreignSender:
            log("smtpd: sender refused from \(name): \(logsafe(account)) may not send as \(logsafe(sender.bytes))")
            return .foreignSender
        }
    }

    func charge(recipients: Int, _ answer: @escaping (Session.Permission) -> Void) {
        auth.charge(account, recipients: UInt32(clamping: recipients)) { permission in
            guard let permission else { return answer(.unavailable) }
            answer(permission.verdict == .granted ? .granted(recipients: Int(permission.recipients)) : .limitReached)
        }
    }

    func noteSent(recipients: Int, qp: UInt64) {
        log("smtpd: sent from \(name): \(logsafe(account)) to \(recipients) recipients, qp \(qp)")
    }

    func noteLimit() { log("smtpd: limit reached from \(name): \(logsafe(account))") }
}

extension Session.LoginRefusal {
    fileprivate init(_ refusal: Login.Refusal) {
        switch refusal {
        case .credentials: self = .credentials
        case .temporary: self = .temporary
        case .throttled: self = .throttled
        case .mechanism: self = .mechanism
        case .encryptionNeeded: self = .encryptionNeeded
        case .malformed: self = .malformed
        }
    }
}
