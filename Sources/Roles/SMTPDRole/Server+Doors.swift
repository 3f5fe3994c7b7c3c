private import QMQP
private import QMTP
internal import Reception
internal import RoleContext
internal import SMTPServer

/// What is spoken at each door.
extension Server {
    /// The last handler of the pipeline; what encrypts the connection stands in front of it.
    func connection(
        at door: Door, _ client: Client, _ configuration: Configuration, onEnd: @escaping (any Connection) -> Void
    ) -> any Connection {
        switch door {
        case .qmtp:
            let session = QMTPSession(client, configuration.policy.rcpthosts, databytes: configuration.policy.databytes)
            return SessionHandler(PackageSession(session), configuration.deadlines, queue, route, onEnd: onEnd)
        case .qmqp: return SessionHandler(PackageSession(QMQPSession(client)), configuration.deadlines, queue, route, onEnd: onEnd)
        case .lmtp: return smtp(.lmtp, client, configuration, onEnd)
        // Role access has those that read mail.
        case .smtp, .smtps, .submission, .submissions, .pop3, .pop3s: return smtp(.smtp, client, configuration, onEnd)
        }
    }

    private func smtp(
        _ service: Service, _ client: Client, _ configuration: Configuration, _ onEnd: @escaping (any Connection) -> Void
    ) -> any Connection {
        let session = Session(.modern, configuration.limits, configuration.policy, client, service: service)
        return SessionHandler(session, configuration.deadlines, queue, route, onEnd: onEnd)
    }
}

extension Door {
    /// Replies of SMTP mean something to a client that has just connected.
    var speaksInClear: Bool { !isEncrypted && self != .qmtp && self != .qmqp }
}
