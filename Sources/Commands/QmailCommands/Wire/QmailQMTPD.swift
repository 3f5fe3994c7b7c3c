private import ControlFiles
private import Glibc
private import Injection
private import Posix
private import QMQP
private import QMTP
internal import Reception
private import SMTPReception

/// qmail-qmtpd (spec-qmail §15.1): packages of QMTP on descriptors 0 and 1.
enum QmailQMTPD {
    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        do throws(SystemError) {
            try QmailHome.enter()
            let control = ControlDirectory()
            let session = QMTPSession(Client(call.environment), try Rcpthosts(control), databytes: try control.integer("databytes") ?? 0)
            var conversation = PackageConversation(session, queueProgram: call.environment["QMAILQUEUE"])
            return conversation.run()
        } catch {
            return ExitCode.temporary
        }
    }
}

/// qmail-qmqpd (spec-qmail §15.2): one request of QMQP on descriptors 0 and 1.
enum QmailQMQPD {
    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        do throws(SystemError) { try QmailHome.enter() } catch { return ExitCode.temporary }
        var conversation = PackageConversation(QMQPSession(Client(call.environment)), queueProgram: call.environment["QMAILQUEUE"])
        return conversation.run()
    }
}

extension Client {
    /// As the variables say that a program such as tcpserver sets.
    init(_ environment: Environment) {
        self.init()
        for variable in Client.variables { if let value = environment[variable] { set(variable, value) } }
        tls = TLSDetails { environment[$0] }
    }
}
