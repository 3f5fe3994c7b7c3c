// Manuals: what takes mail in: the door to the queue and the programs that make messages.
extension Applet {
    static let injection: [Applet] = [queue, inject, sendmail, newaliases, mailsubj, predate, datemail]

    private static let queue = Applet(
        name: "qmail-queue", section: 8, summary: "queue a mail message for delivery", synopsis: "",
        description: [
            "qmail-queue reads a message from descriptor 0 and then an envelope from descriptor 1: F, the sender, a NUL; for "
                + "each recipient T, the address, a NUL; one NUL more. It adds one Received line and exits 0 when the message is safe "
                + "on disk.",
            "It runs with no rights but its caller's: it is a client of the queue, which learns from the kernel who the caller is.",
        ],
        environment: [home], files: [Entry("run/inject/socket", "Where the queue takes mail.")],
        exitCodes: [
            Entry("0", "Queued."), Entry("11", "An address is too long."), Entry("31", "The message is refused for good."),
            Entry("51", "Out of memory."),
            Entry("52", "Timeout: 24 hours are over."), Entry("53", "Write error, disk full, or the queue was lost."),
            Entry("54", "Message or envelope cannot be read to its end."), Entry("61", "Trouble with the home directory."),
            Entry("63", "The queue is not running."), Entry("71", "The message is refused for now."), Entry("91", "The envelope breaks the format."),
        ], run: { QmailQueue.run($0) })

    private static let inject = Applet(
        name: "qmail-inject", section: 8, summary: "preprocess and send a mail message",
        synopsis: "[ -nNaAhH ] [ -fsender ] [ recip ... ]",
        description: [
            "qmail-inject reads a message from descriptor 0, completes its header and gives it to the queue. It adds Date, "
                + "Message-ID and From where they are missing, completes addresses without host or domain, and removes Bcc, "
                + "Return-Path and Content-Length."
        ],
        options: [
            Entry("-a", "Send to the addresses of the command line only."), Entry("-h", "Send to the addresses of the header only."),
            Entry("-A", "Send to the addresses of the command line if there are any, else to those of the header. The default."),
            Entry("-H", "Send to the addresses of both."), Entry("-n", "Do not send; print the message."), Entry("-N", "Send. The default."),
            Entry("-f sender", "Envelope sender."),
        ],
        environment: [
            Entry("QMAILUSER, MAILUSER, USER, LOGNAME", "User name in From and envelope sender; the first that is set counts."),
            Entry("QMAILHOST, MAILHOST", "Host name in both."), Entry("QMAILNAME, MAILNAME, NAME", "Personal name in From."),
            Entry("QMAILSUSER, QMAILSHOST", "User and host in the envelope sender alone."),
            Entry(
                "QMAILINJECT",
                "Letters: c name as a comment; s ignore Return-Path; f delete From; i delete Message-ID; r a sender for each "
                    + "recipient (VERP); m a sender for each message."
            ),
            Entry("QMAILDEFAULTHOST, QMAILDEFAULTDOMAIN, QMAILPLUSDOMAIN, QMAILIDHOST", "Go before the control files of the same purpose."),
            Entry("QMAILMFTFILE", "A file of mailing list addresses: mail to them gets a Mail-Followup-To field."), queueVariable, home,
        ],
        files: [
            Entry("control/defaulthost", "Added to addresses without host; default me."),
            Entry("control/defaultdomain", "Added to host names without dots; default me."),
            Entry("control/plusdomain", "Added to host names that end in a plus sign; default me."),
            Entry("control/idhost", "Right side of Message-IDs; default me."),
        ], exitCodes: commonExitCodes, run: { QmailInject.run($0) })

    private static let sendmail = Applet(
        name: "sendmail", section: 8, summary: "send mail, for programs that know this name",
        synopsis: "[ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]",
        description: [
            "sendmail does what qmail-inject does with the options that stand for its own. If the first line of the message ends in CR LF, every CR LF "
                + "becomes a line end of the system."
        ],
        options: [
            Entry("-t", "Send to the addresses of the header too."), Entry("-f sender", "Envelope sender and default author."),
            Entry("-F name", "Personal name in From."), Entry("-bp", "Run qmail-qread."), Entry("-bs", "Run qmail-smtpd on descriptors 0 and 1."),
            Entry("-bm, -B, -E, -J, -e, -i, -m, -o, -p, -v, -x", "Ignored."),
        ],
        environment: [queueVariable, home], exitCodes: commonExitCodes, run: { Sendmail.run($0) })

    private static let newaliases = Applet(
        name: "newaliases", section: 8, summary: "tells where alias files are compiled", synopsis: "",
        description: ["There are no aliases to compile here: fastforward has a program of this name."], exitCodes: [commonExitCodes[1]],
        run: { Sendmail.newaliases($0) })

    private static let mailsubj = Applet(
        name: "mailsubj", section: 1, summary: "send mail with a subject", synopsis: Mailsubj.synopsis,
        description: ["Sends descriptor 0 as the body of a message to the recipients, by qmail-inject."], environment: [queueVariable, home],
        exitCodes: commonExitCodes, run: { Mailsubj.run($0) })

    private static let predate = Applet(
        name: "predate", section: 1, summary: "run a program with a Date field in front of its input", synopsis: Predate.synopsis,
        description: [
            "Runs the program with a line on its descriptor 0 that says the date in the local time zone, and then all of predate's own descriptor 0."
        ],
        environment: [Entry("TZ", "The local time zone, when it is not the system's.")],
        exitCodes: [Entry("CODE", "The program's own."), commonExitCodes[1], commonExitCodes[2]], run: { Predate.run($0) })

    private static let datemail = Applet(
        name: "datemail", section: 1, summary: "send mail that says the date in the local time zone", synopsis: "[ options of sendmail ] [ arg ... ]",
        description: ["sendmail with the Date field of predate in front of the message."],
        environment: [Entry("TZ", "The local time zone, when it is not the system's."), queueVariable, home], exitCodes: commonExitCodes,
        run: { Predate.datemail($0) })
}
