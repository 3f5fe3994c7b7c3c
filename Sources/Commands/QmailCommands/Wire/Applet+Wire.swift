// Manuals: programs that speak SMTP, QMTP or QMQP or set up a connection, and the table of addresses that did not answer.
extension Applet {
    static let wire: [Applet] = [smtpd, qmtpd, qmqpd, qmqpc, remote, tcpto, tcpok, tcpEnv]

    private static let smtpd = Applet(
        name: "qmail-smtpd", section: 8, summary: "receive mail via SMTP", synopsis: "",
        description: [
            "qmail-smtpd speaks SMTP with a client on descriptors 0 and 1 and gives its messages to the queue. A program such as tcpserver or "
                + "tcp-env accepts the connection and says in variables who the client is.",
            "It answers as qmail's: PIPELINING and 8BITMIME, no more. The server that martletd runs speaks more.",
        ],
        environment: clientVariables + relayVariables + [queueVariable, home],
        files: [
            Entry("control/smtpgreeting", "The greeting; default me."),
            Entry("control/rcpthosts, control/morercpthosts.cdb", "Domains that mail is taken for; without rcpthosts all."),
            Entry("control/badmailfrom", "Senders that are refused: addresses, or @domain."),
            Entry("control/databytes", "Bytes that a message may have; 0 is no limit."),
            Entry("control/localiphost", "Replaces the domain [1.2.3.4] where that is an address of this host; default me."),
            Entry("control/timeoutsmtpd", "Seconds that the client has for each step; default 1200."),
        ],
        exitCodes: [Entry("0", "The client said QUIT."), Entry("1", "The session ended otherwise.")], run: { QmailSMTPD.run($0) })

    private static let clientVariables = [
        Entry("TCPREMOTEIP, TCPREMOTEHOST, TCPREMOTEINFO", "Who the client is, for the Received field; unknown where unset."),
        Entry("TCPLOCALHOST, TCPLOCALIP", "Who this host is, for the same; the first that is set counts."),
    ]
    private static let relayVariables = [
        Entry("RELAYCLIENT", "Set to anything, even nothing: rcpthosts does not count, and the value is added to every recipient."),
        Entry("DATABYTES", "Goes before control/databytes."),
    ]
    private static let packageExitCodes = [
        Entry("0", "The client ended the connection, or was lost."), Entry("100", "What the client sends is not this protocol."),
        Entry("111", "Trouble here, more than this host takes, or an hour is over."),
    ]

    private static let qmtpd = Applet(
        name: "qmail-qmtpd", section: 8, summary: "receive mail via QMTP", synopsis: "",
        description: [
            "qmail-qmtpd speaks QMTP, the Quick Mail Transfer Protocol, with a client on descriptors 0 and 1 and gives its messages to the queue. The "
                + "client sends any number of them without waiting, and gets a response for each recipient. Usually tcpserver runs it, for port 209.",
            "A connection may last an hour. A message may have 1,000,000 recipients.",
        ],
        environment: clientVariables + relayVariables + [queueVariable, home],
        files: [
            Entry("control/rcpthosts, control/morercpthosts.cdb", "Domains that mail is taken for; without rcpthosts all."),
            Entry("control/databytes", "Bytes that a message may have; 0 is no limit."),
        ], exitCodes: packageExitCodes, run: { QmailQMTPD.run($0) })

    private static let qmqpd = Applet(
        name: "qmail-qmqpd", section: 8, summary: "receive mail via QMQP", synopsis: "",
        description: [
            "qmail-qmqpd speaks QMQP, the Quick Mail Queueing Protocol, with a client on descriptors 0 and 1 and gives its one message to the queue. "
                + "Usually tcpserver runs it, for port 628.",
            "It sends mail anywhere for whoever may connect: tcpserver's rules must let in nobody but the hosts that it is for.",
            "A connection may last an hour. A message may have 1,000,000 recipients.",
        ],
        environment: clientVariables + [queueVariable, home], exitCodes: packageExitCodes, run: { QmailQMQPD.run($0) })

    private static let qmqpc = Applet(
        name: "qmail-qmqpc", section: 8, summary: "queue a message via QMQP", synopsis: "",
        description: [
            "qmail-qmqpc takes a message on descriptor 0 and its envelope on descriptor 1, as qmail-queue does, and gives them to a QMQP server. It "
                + "tries the servers in order until one can be reached; that one decides.",
            "With QMAILQUEUE=bin/qmail-qmqpc a host needs no queue of its own. For programs that run bin/qmail-queue whatever QMAILQUEUE says, put a script "
                + "there that runs qmail-qmqpc; a link will not do, for these programs know themselves by name. It adds no Received field.",
        ],
        environment: [home], files: [Entry("control/qmqpservers", "IPv4 addresses of servers, one a line; other lines are skipped.")],
        exitCodes: [
            Entry("0", "The server has queued the message."), Entry("11", "An address is too long."), Entry("31", "The server refuses it for good."),
            Entry("51", "Too large."), Entry("54", "Message or envelope cannot be read."),
            Entry("55", "No servers are listed, or the list cannot be read."),
            Entry("56", "Trouble making a connection."), Entry("61", "Trouble in the home directory."), Entry("71", "The server refuses it for now."),
            Entry("72", "The last server did not answer."), Entry("73", "The last server could not be reached."),
            Entry("74", "The connection was lost; the server may have the message."), Entry("91", "The envelope is none."),
        ], run: { QmailQMQPC.run($0) })

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
