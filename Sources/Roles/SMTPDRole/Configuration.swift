internal import Addresses
private import Bytes
internal import ConnectionRules
internal import ControlFiles
internal import Logins
internal import MessageHeader
private import Posix
internal import RoleContext
private import SMTPReception
internal import SMTPServer

/// What the control files say, read whole; made anew when one of them changes.
struct Configuration {
    let policy: Policy
    let limits: Limits
    let deadlines: Deadlines.Limits
    let rules: ConnectionRules
    /// QMQP relays for whoever speaks it: only whom a rule of this file allows may.
    private let qmqpRules: ConnectionRules
    /// Proxies, whose connections begin with a PROXY header.
    let proxyClients: Networks
    /// Asked about clients who are strangers.
    let clientLists: [ClientList]
    let logins: Logins.LoginOffer
    /// Of submissions; each gives it a name of its own.
    let completion: HeaderCompletion
    /// TCPLOCALHOST unless a rule sets another.
    let me: [UInt8]?
    /// Connections of all workers together.
    let concurrency: Int
    /// Connections of one client address to one worker.
    let concurrencyPerAddress: Int

    static let files =
        Policy.files + Logins.LoginOffer.files + [
            "timeoutsmtpd", "maxrecipients", "smtprules", "qmqprules", "proxyclients", "dnsbllist", "concurrencyincoming", "concurrencyperip",
            "defaulthost", "defaultdomain", "plusdomain", "idhost",
        ]
    private static let defaultConcurrency: UInt64 = 4000
    private static let defaultConcurrencyPerAddress: UInt64 = 50

    init(_ control: ControlDirectory) throws {
        me = try control.line("me")
        policy = try Policy(control, checksRecipients: true)
        var limits = Limits()
        limits.recipients = try Configuration.count(control, "maxrecipients", default: UInt64(limits.recipients))
        self.limits = limits
        var deadlines = Deadlines.Limits()
        if let seconds = try smtpTimeout(control) { deadlines.command = Double(seconds) }
        self.deadlines = deadlines
        rules = try Configuration.rules(control, "smtprules")
        qmqpRules = try Configuration.rules(control, "qmqprules")
        proxyClients = try Networks(control, "proxyclients")
        clientLists = try Configuration.clientLists(control)
        logins = try Logins.LoginOffer(control)
        completion = try Configuration.completion(control)
        concurrency = try Configuration.count(control, "concurrencyincoming", default: Configuration.defaultConcurrency)
        concurrencyPerAddress = try Configuration.count(control, "concurrencyperip", default: Configuration.defaultConcurrencyPerAddress)
    }

    /// Whether a client at `address` may connect, and with which variables.
    func decision(for address: IPAddress?, _ door: Door) -> ConnectionRules.Decision {
        let origin = ConnectionOrigin(address: address)
        guard door == .qmqp else { return rules.decision(for: origin) }
        return qmqpRules.match(origin) == nil ? .deny : qmqpRules.decision(for: origin)
    }

    private static func rules(_ control: ControlDirectory, _ name: String) throws -> ConnectionRules {
        do {
            return try ConnectionRules(try control.bytes(name) ?? [])
        } catch let bad as ConnectionRules.BadLine {
            throw ControlFileError(file: control.file(name), line: bad.number, problem: "not a rule of tcprules: \(logsafe(bad.line))")
        }
    }

    private static func clientLists(_ control: ControlDirectory) throws -> [ClientList] {
        try (control.list("dnsbllist") ?? []).map { line in
            guard let list = ClientList(line) else {
                throw ControlFileError(file: control.file("dnsbllist"), line: 0, problem: "not [-+=]BASE[:TEXT]: \(logsafe(line))")
            }
            return list
        }
    }

    /// The names that qmail-inject takes, from the same files.
    private static func completion(_ control: ControlDirectory) throws -> HeaderCompletion {
        func host(_ file: String) throws -> [UInt8] { try control.lineOrMe(file) ?? Array(file.utf8) }
        let rewriting = AddressRewriting(
            defaultHost: try host("defaulthost"), defaultDomain: try host("defaultdomain"), plusDomain: try host("plusdomain"))
        return HeaderCompletion(rewriting: rewriting, idHost: try host("idhost"), uniqueName: "")
    }

    /// A file that qmail does not have, so that it need not take `x` for nothing as qmail's do.
    private static func count(_ control: ControlDirectory, _ name: String, default standard: UInt64) throws -> Int {
        guard let line = try control.line(name) else { return Int(standard) }
        guard let number = parseDecimal(line, maxDigits: 9), number > 0 else {
            throw ControlFileError(file: control.file(name), line: 1, problem: "write a number from 1 to 999999999")
        }
        return Int(number)
    }
}
