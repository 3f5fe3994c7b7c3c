private import Glibc
private import Posix

/// qmail-pop3d (spec-qmail §16.3): POP3 after the login, on descriptors 0 and 1, for the Maildir of its user.
enum QmailPop3d {
    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        signal(SIGPIPE, SIG_IGN)
        guard getuid() != 0, geteuid() != 0 else {
            writeAll(Array("qmail-pop3d invoked as uid 0, terminating\n".utf8)[...], to: 2)
            return 1
        }
        guard let path = call.arguments.first, (try? withPath(path) { chdir($0) }) == 0 else { return refuse("this user has no $HOME/Maildir") }
        let stream = TimedStream(input: 0, output: 1, seconds: QmailPopup.seconds)
        guard var conversation = try? MaildropConversation(.classic, stream) else { return refuse("unable to scan $HOME/Maildir") }
        conversation.run()
        return ExitCode.ok
    }

    private static func refuse(_ why: String) -> Int32 {
        writeAll(Array("-ERR \(why)\r\n".utf8)[...], to: 1)
        return ExitCode.ok
    }
}
