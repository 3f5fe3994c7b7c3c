// Manuals: programs that speak SMTP or set up a connection, and the table of addresses that did not answer.
extension Applet {
    static let wire: [Applet] = [smtpd, remote, tcpto, tcpok, tcpEnv]

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
            queueVariable, home,
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

    private static let remote = Applet(
        name: "qmail-remote", section: 8, summary: "send mail via SMTP", synopsis: "host sender recip [ recip ... ]",
        description: [
            "qmail-remote sends the message on descriptor 0 to the recipients at host: a domain, or an IP address, perhaps in brackets. It looks "
                + "for the exchangers of the domain, tries their addresses in the order of preference, and speaks with the first that answers. "
                + "Addresses of this host, and of networks that no other host is in, it tries only where a route says so.",
            "Its reports are on descriptor 1, each ended by a NUL. First one for each recipient that was answered: r accepted, h rejected for good, "
                + "s rejected for now. Then one for the message: K accepted, Z not now, D never. What comes behind the letter is for people.",
        ],
        environment: [home],
        files: [
            Entry("control/helohost", "The name it gives; default me."),
            Entry("control/smtproutes", "Lines domain:relay or domain:relay:port, which go before the exchangers."),
            Entry("control/timeoutconnect, control/timeoutremote", "Seconds for a connection (60), and for each step of the server (1200)."),
            Entry("control/moreipme", "More addresses that are this host."),
            Entry("control/resolvers, control/dnssec", "Name servers to ask, and whether their answers are validated."),
            Entry("run/tcpto", "Addresses that did not answer; see qmail-tcpto."),
        ], exitCodes: [Entry("0", "Always.")], run: { QmailRemote.run($0) })

    private static let tcpto = Applet(
        name: "qmail-tcpto", section: 8, summary: "print tcp timeout table", synopsis: "",
        description: [
            "Prints a line for each address that did not answer lately: how long ago, and how often. An address that did not answer twice is not "
                + "tried for about an hour."
        ],
        environment: [home],
        files: [Entry("run/tcpto", "The table.")], exitCodes: [Entry("0", "Done."), Entry("111", "The table cannot be read.")],
        run: { QmailTcpto.run($0) })

    private static let tcpok = Applet(
        name: "qmail-tcpok", section: 8, summary: "clear tcp timeout table", synopsis: "",
        description: ["Empties the table that qmail-tcpto prints: every address is tried again at the next delivery. Mail may flow meanwhile."],
        environment: [home],
        files: [Entry("run/tcpto", "The table.")], exitCodes: [Entry("0", "Done."), Entry("111", "The table cannot be written.")],
        run: { QmailTcpto.clear($0) })

    private static let tcpEnv = Applet(
        name: "tcp-env", section: 1, summary: "set up TCP-related environment variables", synopsis: "[ -rR ] [ -tsecs ] program [ arg ... ]",
        description: [
            "tcp-env looks at the TCP connection on descriptor 0, sets the variables of its two ends, and becomes the program. Where PROTO says TCP "
                + "already, it leaves them as they are. For inetd and its like; tcpserver sets the variables itself."
        ],
        options: [
            Entry("-r", "Ask the client's host for TCPREMOTEINFO (RFC 1413). The default."), Entry("-R", "Do not ask."),
            Entry("-t secs", "How long that may take; default 30."),
        ],
        environment: [
            Entry("PROTO", "Becomes TCP."), Entry("TCPLOCALIP, TCPLOCALPORT, TCPREMOTEIP, TCPREMOTEPORT", "Become the two addresses and ports."),
            Entry("TCPLOCALHOST, TCPREMOTEHOST", "Become what DNS calls the addresses; unset when it knows no name, softdnserror when it fails."),
        ], exitCodes: [Entry("111", "The program could not be run.")], run: { TcpEnv.run($0) })
}
