private import Addresses
private import Bytes
private import CPosix
private import ControlFiles
private import ExchangerLookup
internal import Frames
private import Glibc
private import Injection
private import Posix
private import RemoteDelivery
internal import SMTPClient

/// qmail-remote (spec-qmail §14): sends the message on descriptor 0 to one host, in the classic profile of the machine that role remote runs too.
/// It reports on descriptor 1 and always exits 0.
enum QmailRemote {
    /// What ends the run before a server has been asked: the report of the message, letter in front.
    struct Ending: Error {
        let text: [UInt8]
        init(_ text: String) { self.text = Array(text.utf8) }
        init(_ report: DeliveryReport) { text = [QmailRemote.letter(report.outcome)] + report.text }
        init(_ report: RecipientReport) { text = [QmailRemote.letter(report.class)] + report.text }
    }

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        signal(SIGPIPE, SIG_IGN)
        var output = Output(1)
        do throws(Ending) {
            let report = try deliver(call.arguments)
            for answer in report.recipients { if let text = recipientText(answer) { output.write(text + [0]) } }
            output.write(Ending(report.message).text + [0])
        } catch {
            output.write(error.text + [0])
        }
        output.flush()
        return ExitCode.ok
    }

    private static func deliver(_ arguments: [[UInt8]]) throws(Ending) -> TransactionReport {
        guard arguments.count >= 3 else { throw Ending("DI (qmail-remote) was invoked improperly. (#5.3.5)\n") }
        do throws(SystemError) { try QmailHome.enter() } catch { throw Ending("ZUnable to switch to home directory. (#4.3.0)\n") }
        let content = try messageContent()
        guard let summary = content.summary() else { throw Ending(DeliveryTexts.unreadable) }
        let recipients = try arguments[2...].map { (bytes) throws(Ending) in try address(bytes) }
        let mail = MailTransaction(sender: try address(arguments[1]), recipients: recipients, content: summary)
        let control = ControlDirectory()
        guard let settings = try? RemoteSettings(control), let heloHost = settings.heloHost else {
            throw Ending(DeliveryTexts.noControls)
        }
        if let impossibility = mail.impossibility { throw Ending(impossibility) }
        let plan = try plan(for: arguments[0], settings, control)
        var dialing = Dialing(settings)
        let connection = try dialing.connect(plan)
        let socket = connection.socket.raw
        let stream = TimedStream(input: socket, output: socket, seconds: settings.remoteTimeout)
        let session = ClientSession(.classic, peer: connection.peer.description, heloHost: heloHost, limits: .classic)
        var conversation = SMTPDelivery(session, stream, content)
        guard let report = conversation.run(mail) else { throw Ending(DeliveryTexts.outOfResources) }
        return report
    }

    private static func plan(for host: [UInt8], _ settings: RemoteSettings, _ control: ControlDirectory) throws(Ending) -> ConnectionPlan {
        let route = settings.routes.route(for: host[...])
        // TLS is not for a command that starts in a millisecond; what wants it goes through the queue.
        if let relay = route.relay, relay.login != nil || relay.beginsWithTLS || relay.security == .encrypt || relay.security == .verify {
            throw Ending("ZThe route of this host wants TLS or a login, which qmail-remote does not speak. (#4.7.4)\n")
        }
        switch ExchangerLookup.plan(for: host, route, settings, control) {
        case .found(let plan): return plan
        case .ended(let report): throw Ending(report)
        }
    }

    private static func address(_ bytes: [UInt8]) throws(Ending) -> Address {
        guard let address = Address(bytes) else { throw Ending("DSMTP cannot transfer an address with line ends, or a longer one. (#5.1.3)\n") }
        return address
    }

    /// What is no file is gathered in memory first: whether SMTP can carry it must be known before MAIL.
    private static func messageContent() throws(Ending) -> MessageContent {
        do throws(SystemError) {
            let start = lseek(0, 0, SEEK_CUR)
            if start >= 0 { return try MessageContent(FileDescriptor(owning: check("dup") { dup(0) }), from: Int(start)) }
            return try MessageContent(gathered())
        } catch {
            throw Ending(DeliveryTexts.unreadable)
        }
    }

    private static func gathered() throws(SystemError) -> FileDescriptor {
        let file = FileDescriptor(owning: try check("memfd_create") { martlet_memory_file("message") })
        var input = Input(0)
        do throws(Input.Failure) {
            while let chunk = try input.chunk() {
                guard writeAll(chunk, to: file.raw) else { throw Input.Failure(errno: errno) }
            }
        } catch {
            throw SystemError(call: "read", subject: "", errno: error.errno)
        }
        return file
    }

    private static func recipientText(_ answer: TransactionReport.Answer) -> [UInt8]? {
        switch answer {
        case .none: nil
        case .accepted: [UInt8(ascii: "r")]
        case .refused(let report), .excluded(let report): [UInt8(ascii: report.class == .failed ? "h" : "s")] + report.text
        }
    }

    fileprivate static func letter(_ class: RecipientReport.Class) -> UInt8 {
        switch `class` {
        case .delivered: UInt8(ascii: "K")
        case .deferred: UInt8(ascii: "Z")
        case .failed: UInt8(ascii: "D")
        }
    }

    fileprivate static func letter(_ outcome: DeliveryReport.Outcome) -> UInt8 {
        switch outcome {
        case .delivered: UInt8(ascii: "K")
        case .deferred: UInt8(ascii: "Z")
        case .failed: UInt8(ascii: "D")
        }
    }
}
