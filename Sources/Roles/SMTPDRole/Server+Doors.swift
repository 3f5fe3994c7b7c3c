internal import Addresses
internal import ClientConnections
private import Glibc
private import Logins
private import MessageHeader
private import QMQP
private import QMTP
internal import Reception
internal import RoleContext
private import SASL
internal import SMTPServer

/// What is spoken at each door.
extension Server {
    /// The last handler of the pipeline; what encrypts the connection stands in front of it.
    func connection(
        at door: Door, _ client: Client, _ address: IPAddress?, _ configuration: Configuration
    ) -> any ClientConnection {
        let encryption = Encryption(tls: tls, service: door.rawValue, isFirst: door.isEncrypted)
        switch door {
        case .qmtp:
            let session = QMTPSession(
                client, configuration.policy.rcpthosts, databytes: configuration.policy.databytes, limits: packageLimits(client, configuration))
            return SessionHandler(PackageSession(session), configuration.deadlines, queue, route)
        case .qmqp: return SessionHandler(PackageSession(QMQPSession(client)), configuration.deadlines, queue, route)
        case .submission, .submissions: return submission(client, address, configuration, encryption)
        // Role access has those that read mail.
        case .smtp, .smtps, .lmtp, .pop3, .pop3s:
            return mail(client, address, configuration, encryption, door == .lmtp ? .lmtp : .smtp)
        }
    }

    /// One message of a stranger must not take more memory than by SMTP.
    private func packageLimits(_ client: Client, _ configuration: Configuration) -> PackageLimits {
        var limits = PackageLimits()
        guard client.relay == nil else { return limits }
        limits.recipients = configuration.limits.recipients
        limits.recipientBytes = UInt64(configuration.limits.recipients) * UInt64(limits.address)
        return limits
    }

    private func mail(
        _ client: Client, _ address: IPAddress?, _ configuration: Configuration, _ encryption: Encryption, _ service: Service
    ) -> any ClientConnection {
        var session = Session(.modern, configuration.limits, configuration.policy, client, service: service)
        // Those that a rule knows are no strangers.
        guard let address, service == .smtp, client.relay == nil, client.listText == nil else {
            return SessionHandler(session, configuration.deadlines, queue, route, encryption, nil, checks)
        }
        let answered = ListAnswer()
        session.awaitsLists = lists.look(address, in: configuration.clientLists) { answered.handler?.listsAnswered($0) }
        let handler = SessionHandler(session, configuration.deadlines, queue, route, encryption, nil, checks)
        answered.handler = handler
        return handler
    }

    /// Whom an answer is for that was asked for before there was anybody.
    private final class ListAnswer { weak var handler: SessionHandler<Session>? }

    private func submission(
        _ client: Client, _ address: IPAddress?, _ configuration: Configuration, _ encryption: Encryption
    ) -> any ClientConnection {
        var completion = configuration.completion
        completion.uniqueName = "\(getpid()).\(accepted)"
        let logins = SMTPServer.LoginOffer(
            mechanisms: configuration.logins.mechanisms.filter { $0 != .apop }.map(\.rawValue), isForClear: !configuration.logins.needsTLS(address))
        let session = Session(
            .modern, configuration.limits, configuration.policy, client, service: .submission, logins: logins, completion: completion)
        let login = ClientLogin(auth, from: address)
        return SessionHandler(session, configuration.deadlines, queue, route, encryption, login, checks)
    }
}

extension Door {
    /// Replies of SMTP mean something to a client that has just connected.
    var speaksInClear: Bool { !isEncrypted && self != .qmtp && self != .qmqp }
}
