private import ControlFiles
private import Glibc
private import Injection
private import Posix
private import Reception
private import SMTPReception
private import SMTPServer

/// qmail-smtpd (spec-qmail §13): one SMTP session on descriptors 0 and 1, in the classic profile of the machine that role smtpd runs too.
/// STARTTLS is there when what carries the connection offers it (``TLSOnRequest``).
enum QmailSMTPD {
    /// Lost client, timeout, or a session ended from here.
    private static let ended: Int32 = 1
    private static let standardTimeout: UInt64 = 1200

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        signal(SIGPIPE, SIG_IGN)
        do {
            do throws(SystemError) { try QmailHome.enter() } catch { return give("421 unable to read controls (#4.3.0)") }
            let control = ControlDirectory()
            let policy = try Policy(control, checksRecipients: false)
            let stream = TimedStream(input: 0, output: 1, seconds: try smtpTimeout(control) ?? standardTimeout)
            var conversation = SMTPConversation(
                Session(.classic, .classic, policy, Client(call.environment)), stream, queueProgram: call.environment["QMAILQUEUE"],
                TLSOnRequest(call.environment))
            return conversation.run() ? ExitCode.ok : ended
        } catch let error as SystemError where error.call == "getifaddrs" {
            return give("421 unable to figure out my IP addresses (#4.3.0)")
        } catch {
            return give("421 unable to read controls (#4.3.0)")
        }
    }

    private static func give(_ reply: String) -> Int32 {
        writeAll(Array("\(reply)\r\n".utf8)[...], to: 1)
        return ended
    }
}
