private import Bytes
private import Posix

/// qail, pinq and elq (qmail §12.2): a mail reader that knows mboxes only, after maildir2mbox.
enum MailReader {
    static func run(_ reader: String, _ call: Invocation) -> Int32 {
        let code = Maildir2mbox.run(call)
        guard code == ExitCode.ok else { return code }
        let error = Child.become([Array(reader.utf8)] + call.arguments)
        return fatal(call.programName.text, "unable to run \(reader): \(error.reason)", ExitCode.temporary)
    }
}
