private import CPosix
private import Glibc
private import POP3
private import Posix

/// The store worker: opens one mailbox for one client that has logged in, whose conversation is on descriptor 0, relayed by access.
///
/// lspawn starts it under the user's identity in his home: `martlet-store free|confined SERVICE MAILBOX`. Its first reply is that of the login.
enum MartletStore {
    /// access ends connections that are idle long before: this is for an access that hangs.
    private static let seconds: UInt64 = 1200

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        signal(SIGPIPE, SIG_IGN)
        umask(0o077)
        martlet_name_process("martlet-store")
        guard call.arguments.count == 3, ["free", "confined"].contains(call.arguments[0].text), call.arguments[1].text == "pop3" else {
            return usage("martlet-store", "martlet-store free|confined pop3 MAILDIR")
        }
        guard getuid() != 0, geteuid() != 0 else { return refuse("SYS/PERM", "root has no mailbox", "it is root") }
        if call.arguments[0].text == "confined" { confine() }
        return serve(call.arguments[2])
    }

    private static func serve(_ mailbox: [UInt8]) -> Int32 {
        let failure: SystemError
        do throws(SystemError) {
            try withPath(mailbox) { (path) throws(SystemError) in try check("chdir", mailbox.text) { chdir(path) } }
            var conversation = try MaildropConversation(.modern, TimedStream(input: 0, output: 0, seconds: seconds))
            conversation.run()
            return ExitCode.ok
        } catch { failure = error }
        return isTemporaryError(failure.errno)
            ? refuse("SYS/TEMP", "the mailbox cannot be opened now", "\(failure)") : refuse("SYS/PERM", "the mailbox cannot be opened", "\(failure)")
    }

    /// Into the home, as the delivery workers of the same mailboxes.
    private static func confine() {
        switch Sandbox.confineToWorkingDirectory() {
        case .whole: break
        case .partial(let version):
            log("martlet-store: Landlock of this kernel is version \(version): files are confined, network and signals are not all")
        case .none(let error): log("martlet-store: alert: this kernel has no Landlock (\(error.reason)): only file modes keep mailboxes apart")
        }
    }

    private static func refuse(_ code: String, _ text: String, _ reason: String) -> Int32 {
        log("martlet-store: uid \(getuid()): \(reason)")
        writeAll(Array("-ERR [\(code)] \(text)\r\n".utf8)[...], to: 0)
        return ExitCode.temporary
    }
}
