private import Bytes
internal import ConnectionRules
internal import ControlFiles
private import Posix
private import SMTPReception
internal import SMTPServer

/// What the control files say, read whole; made anew when one of them changes.
struct Configuration {
    let policy: Policy
    let limits: Limits
    let deadlines: Deadlines.Limits
    let rules: ConnectionRules
    /// TCPLOCALHOST unless a rule sets another.
    let me: [UInt8]?
    /// Connections of all workers together.
    let concurrency: Int
    /// Connections of one client address to one worker.
    let concurrencyPerAddress: Int

    static let files = Policy.files + ["timeoutsmtpd", "maxrecipients", "smtprules", "concurrencyincoming", "concurrencyperip"]
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
        do {
            rules = try ConnectionRules(try control.bytes("smtprules") ?? [])
        } catch let bad as ConnectionRules.BadLine {
            throw ControlFileError(file: control.file("smtprules"), line: bad.number, problem: "not a rule of tcprules: \(logsafe(bad.line))")
        }
        concurrency = try Configuration.count(control, "concurrencyincoming", default: Configuration.defaultConcurrency)
        concurrencyPerAddress = try Configuration.count(control, "concurrencyperip", default: Configuration.defaultConcurrencyPerAddress)
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
