// The programs that speak SMTP, and what belongs to them.
extension Applet {
    static let wire: [Applet] = [smtpd]

    private static let smtpd = Applet(
        name: "qmail-smtpd", section: 8, summary: "receive mail via SMTP", synopsis: "",
        description: [
            "qmail-smtpd speaks SMTP with a client on descriptors 0 and 1 and gives its messages to the queue. A program such as tcpserver or "
                + "tcp-env accepts the connection and says in variables who the client is.",
            "It answers as qmail's: PIPELINING and 8BITMIME, no more. The server that martletd runs speaks more.",
        ],
        environment: [
            Entry("TCPREMOTEIP, TCPREMOTEHOST, TCPREMOTEINFO", "Who the client is, for the Received field; unknown where unset."),
            Entry("TCPLOCALHOST, TCPLOCALIP", "Who this host is, for the same; the first that is set counts."),
            Entry("RELAYCLIENT", "Set to anything, even nothing: rcpthosts does not count, and the value is added to every recipient."),
            Entry("DATABYTES", "Goes before control/databytes."),
            Entry("QMAILQUEUE", "A program to run instead of handing mail to the queue; relative to the qmail home."),
            Entry("QMAILHOME", "The qmail home, when it is neither the folder above the program's own nor /var/qmail."),
        ],
        files: [
            Entry("control/smtpgreeting", "The greeting; default me."),
            Entry("control/rcpthosts, control/morercpthosts.cdb", "Domains that mail is taken for; without rcpthosts all."),
            Entry("control/badmailfrom", "Senders that are refused: addresses, or @domain."),
            Entry("control/databytes", "Bytes that a message may have; 0 is no limit."),
            Entry("control/localiphost", "Replaces the domain [1.2.3.4] where that is an address of this host; default me."),
            Entry("control/timeoutsmtpd", "Seconds that the client has for each step; default 1200."),
        ],
        exitCodes: [Entry("0", "The client said QUIT."), Entry("1", "The session ended otherwise.")], run: { QmailSMTPD.run($0) })
}
