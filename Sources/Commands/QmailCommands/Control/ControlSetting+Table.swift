// The control files. qmail's own come in the order and with the words of qmail-showctl (qmail §4.5).
extension ControlSetting {
    private static let accepted = "SMTP clients may send messages to recipients at "

    /// Where there is no rcpthosts, morercpthosts is told of in other words.
    static let uselessMorercpthosts = ControlSetting(
        "morercpthosts", .list(whenAbsent: "No rcpthosts; morercpthosts is irrelevant."), "No rcpthosts; doesn't matter that morercpthosts has ", ".",
        "")

    /// In the order of the output.
    package static let all: [ControlSetting] = qmails + ours

    private static let qmails: [ControlSetting] = [
        ControlSetting(
            "badmailfrom", .list(whenAbsent: "Any MAIL FROM is allowed."), "", " not accepted in MAIL FROM.",
            "Senders that are refused: user@host, @host, patterns with * and ?, and !LINE for exceptions."),
        ControlSetting("bouncefrom", .text("MAILER-DAEMON"), "Bounce user name is ", "", "Local part of the From of bounces."),
        ControlSetting("bouncehost", .text(nil), "Bounce host name is ", "", "Host of the From of bounces."),
        ControlSetting("concurrencylocal", .number(10), "Local concurrency is ", "", "Local deliveries at a time; 0 holds them."),
        ControlSetting("concurrencyremote", .number(20), "Remote concurrency is ", "", "Remote deliveries at a time; 0 holds them."),
        ControlSetting("databytes", .number(0), "SMTP DATA limit is ", " bytes", "The largest message that SMTP takes; 0 is no limit."),
        ControlSetting("defaultdomain", .text(nil), "Default domain name is ", "", "Added to host names without dots."),
        ControlSetting("defaulthost", .text(nil), "Default host name is ", "", "Added to addresses without host."),
        ControlSetting("doublebouncehost", .text(nil), "2B recipient host: ", "", "Host that double bounces go to."),
        ControlSetting("doublebounceto", .text("postmaster"), "2B recipient user: ", "", "Local part that double bounces go to."),
        ControlSetting("envnoathost", .text(nil), "Presumed domain name is ", "", "Added to recipients without @."),
        ControlSetting("helohost", .text(nil), "SMTP client HELO host name is ", "", "Name in EHLO and HELO."),
        ControlSetting("idhost", .text(nil), "Message-ID host name is ", "", "Right side of Message-IDs."),
        ControlSetting("localiphost", .text(nil), "Local IP address becomes ", "", "What the host of user@[own address] becomes."),
        ControlSetting(
            "locals", .list(whenAbsent: "Messages for me are delivered locally."), "Messages for ", " are delivered locally.",
            "Domains that are delivered here."),
        ControlSetting("me", .text("undefined! Uh-oh"), "My name is ", "", "The name of this host. It must be there."),
        ControlSetting(
            "percenthack", .list(whenAbsent: "The percent hack is not allowed."), "The percent hack is allowed for user%host@", ".",
            "Domains where user%host@ is unwrapped."),
        ControlSetting("plusdomain", .text(nil), "Plus domain name is ", "", "Added to host names that end in a plus sign."),
        ControlSetting("qmqpservers", .list(whenAbsent: "No QMQP servers."), "QMQP server: ", ".", "Hosts that qmail-qmqpc hands mail to."),
        ControlSetting(
            "queuelifetime", .number(604_800), "Message lifetime in the queue is ", " seconds", "Seconds after which a deferral is final."),
        ControlSetting(
            "rcpthosts", .list(whenAbsent: "SMTP clients may send messages to any recipient."), accepted, ".",
            "Domains that SMTP takes mail for; .suffix stands for those below."),
        ControlSetting("morercpthosts", .list(whenAbsent: "No effect."), accepted, ".", "More of them, to be compiled by qmail-newmrh."),
        ControlSetting("morercpthosts.cdb", .compiled(source: "morercpthosts"), "", "", "What qmail-newmrh makes of morercpthosts."),
        ControlSetting("smtpgreeting", .text(nil), "SMTP greeting: 220 ", "", "The greeting; it begins with the host name."),
        ControlSetting(
            "smtproutes", .list(whenAbsent: "No artificial SMTP routes."), "SMTP route: ", "",
            "domain:relay or domain:relay:port: where mail goes instead of to its exchangers; behind it tls=, name=, user=, passwordfile=."),
        ControlSetting("timeoutconnect", .number(60), "SMTP client connection timeout is ", " seconds", "Seconds for a connection to another host."),
        ControlSetting("timeoutremote", .number(1200), "SMTP client data timeout is ", " seconds", "Seconds for each step of another host."),
        ControlSetting(
            "timeoutsmtpd", .number(1200), "SMTP server data timeout is ", " seconds", "Seconds for the next command or data of a client."),
        ControlSetting(
            "virtualdomains", .list(whenAbsent: "No virtual domains."), "Virtual domain: ", "",
            "domain:prepend or user@domain:prepend: domains that users or lists control."),
    ]

    private static let ours: [ControlSetting] = [
        ControlSetting(
            "authbackends", .list(whenAbsent: "Logins are asked of our accounts, and as root of the system's."), "Logins are asked of ", ".",
            ours: true,
            "accounts, system, pam, shadow or program /PATH, in the order they are asked."),
        ControlSetting(
            "authinsecure", .list(whenAbsent: "Nobody may log in without TLS."), "Log in without TLS: ", "", ours: true,
            "ADDRESS, ADDRESS/BITS or unix: clients there may log in without TLS."),
        ControlSetting(
            "authmechanisms", .list(whenAbsent: "Clients log in by PLAIN or LOGIN."), "Login mechanism: ", "", ours: true,
            "PLAIN, LOGIN, SCRAM-SHA-256, CRAM-MD5 or APOP, one a line."),
        ControlSetting(
            "authsecrets", .number(0), "Keeping of passwords themselves is ", "", ours: true,
            "Not 0: passwords are kept as they are, for CRAM-MD5 and APOP."),
        ControlSetting(
            "badhelo", .list(whenAbsent: "Any HELO host name is allowed."), "", " not accepted in HELO.", ours: true,
            "HELO host names that are refused, as in badmailfrom."),
        ControlSetting(
            "badrcptto", .list(whenAbsent: "Any recipient of rcpthosts is allowed."), "", " not accepted in RCPT TO.", ours: true,
            "Recipients that are refused, as in badmailfrom."),
        ControlSetting("bounceformat", .text("report"), "Bounce format is ", "", ours: true, "report: multipart/report; qsbmf: the bytes of qmail."),
        ControlSetting(
            "bouncemaxbytes", .number(1_048_576), "Bounces return whole messages of up to ", " bytes", ours: true,
            "Of a larger message only the header goes back; 0 is no limit."),
        ControlSetting(
            "bouncesperhour", .number(100), "Bounces to one remote address leave at up to ", " an hour", ours: true,
            "More are kept until their time; 0 is no limit."),
        ControlSetting(
            "cafile", .text("/etc/ssl/certs/ca-certificates.crt"), "Certificates of other hosts are trusted by ", "", ours: true,
            "The authorities that certificates of other hosts are trusted by."),
        ControlSetting("concurrencyincoming", .number(4000), "SMTP connection limit is ", "", ours: true, "SMTP connections at a time."),
        ControlSetting(
            "concurrencyperhost", .number(20), "Remote concurrency for one host is ", "", ours: true, "Remote deliveries at a time to one host."),
        ControlSetting(
            "concurrencyperip", .number(50), "Connection limit for one address is ", "", ours: true,
            "SMTP connections, and POP3 connections, at a time of one address."
        ),
        ControlSetting("concurrencypop3", .number(1000), "POP3 connection limit is ", "", ours: true, "POP3 connections at a time."),
        ControlSetting(
            "defaultdelivery", .list(whenAbsent: "Default delivery is ./Maildir/."), "Default delivery: ", "", ours: true,
            "Lines of a .qmail file, for users without one."),
        ControlSetting(
            "dnsbllist", .list(whenAbsent: "Clients are not looked up in lists."), "List of clients: ", "", ours: true,
            "[-+=]BASE[:TEXT]: lists in DNS of clients whose mail is refused."),
        ControlSetting("dnssec", .number(0), "DNSSEC validation is ", "", ours: true, "Not 0: answers of DNS are validated."),
        ControlSetting(
            "goodrcptto", .list(whenAbsent: "Recipients need not be listed."), "Recipient: ", "", ours: true,
            "Recipients; all others are refused. As in badmailfrom."),
        ControlSetting(
            "hashthreads", .text("the processors"), "Passwords hashed at a time: ", "", ours: true, "Threads that hash passwords, 1 to 64."),
        ControlSetting(
            "lmtplisten", .list(whenAbsent: "LMTP is not served."), "LMTP is served on ", ".", ours: true,
            "ADDRESS:PORT, [IPV6]:PORT or unix:/PATH."),
        ControlSetting("logindomain", .text(""), "Logins without a domain are of ", "", ours: true, "Added to logins without a domain."),
        ControlSetting(
            "maxrecipients", .number(1000), "SMTP recipient limit is ", " for a message", ours: true, "Recipients of one message that SMTP takes."),
        ControlSetting("minuid", .number(100), "Lowest uid for deliveries is ", "", ours: true, "No delivery runs under a uid below it."),
        ControlSetting(
            "moreipme", .list(whenAbsent: "Only the addresses of its interfaces are this host's."), "Also this host: ", ".", ours: true,
            "More addresses that are this host."),
        ControlSetting(
            "pop3listen", .list(whenAbsent: "No POP3."), "POP3 on ", "", ours: true, "ADDRESS:PORT, [IPV6]:PORT or unix:/PATH, one a line."),
        ControlSetting(
            "pop3slisten", .list(whenAbsent: "No POP3 with TLS first."), "POP3 with TLS first on ", "", ours: true,
            "As pop3listen, for TLS from the first byte."),
        ControlSetting(
            "proxyclients", .list(whenAbsent: "No proxies."), "Proxy: ", ".", ours: true,
            "Proxies, whose connections begin with a PROXY header: ADDRESS, ADDRESS/BITS or unix."),
        ControlSetting(
            "qmqplisten", .list(whenAbsent: "QMQP is not served."), "QMQP is served on ", ".", ours: true,
            "ADDRESS:PORT, [IPV6]:PORT or unix:/PATH."),
        ControlSetting(
            "qmqprules", .list(whenAbsent: "Nobody may connect by QMQP."), "QMQP rule: ", "", ours: true,
            "Rules of tcprules: who may connect by QMQP, which relays everything; without a rule nobody."),
        ControlSetting(
            "qmtplisten", .list(whenAbsent: "QMTP is not served."), "QMTP is served on ", ".", ours: true,
            "ADDRESS:PORT, [IPV6]:PORT or unix:/PATH."),
        ControlSetting(
            "queuesegmentbytes", .number(67_108_864), "Size of a queue segment is ", " bytes", ours: true, "Size of a segment of the journal."),
        ControlSetting(
            "rcptprobe", .number(0), "Probing of extensions at RCPT is ", "", ours: true,
            "Not 0: an address with an extension that has no .qmail file is refused at RCPT."),
        ControlSetting(
            "remoteprogram", .text("none: SMTP is spoken here"), "Program in the place of qmail-remote is ", "", ours: true,
            "A program with the interface of qmail-remote that delivers in its place."),
        ControlSetting(
            "resolvers", .list(whenAbsent: "Name servers are those of /etc/resolv.conf."), "Name server: ", ".", ours: true,
            "Name servers, IP or IP@PORT."),
        ControlSetting(
            "senderlogin", .list(whenAbsent: "Accounts send with their own addresses only."), "May send: ", "", ours: true,
            "ACCOUNT:SENDER, addresses that an account may send with besides its own; * for all, @host for all of a host."),
        ControlSetting(
            "sendmessages", .number(200), "An account may send ", " messages an hour", ours: true,
            "Messages that an account may send an hour; 0 is no limit."),
        ControlSetting(
            "sendrecipients", .number(1000), "An account may address ", " recipients an hour", ours: true,
            "Recipients that an account may address an hour; 0 is no limit."),
        ControlSetting(
            "smtplisten", .list(whenAbsent: "SMTP is served on port 25, or on 127.0.0.1:2525 without root."), "SMTP is served on ", ".", ours: true,
            "ADDRESS:PORT, [IPV6]:PORT or unix:/PATH; an empty file: no SMTP."),
        ControlSetting(
            "smtprules", .list(whenAbsent: "Any host may connect by SMTP."), "SMTP rule: ", "", ours: true,
            "Rules of tcprules: who may connect, and with which variables."),
        ControlSetting(
            "smtpslisten", .list(whenAbsent: "SMTP inside TLS is not served."), "SMTP inside TLS is served on ", ".", ours: true,
            "ADDRESS:PORT, [IPV6]:PORT or unix:/PATH, with TLS from the first byte."),
        ControlSetting("smtpworkers", .text("half the processors"), "Number of smtpd processes is ", "", ours: true, "smtpd processes, 1 to 256."),
        ControlSetting(
            "submissionlisten", .list(whenAbsent: "Submission is not served."), "Submission is served on ", ".", ours: true,
            "ADDRESS:PORT, [IPV6]:PORT or unix:/PATH: SMTP for those who log in."),
        ControlSetting(
            "submissionslisten", .list(whenAbsent: "Submission inside TLS is not served."), "Submission inside TLS is served on ", ".", ours: true,
            "ADDRESS:PORT, [IPV6]:PORT or unix:/PATH: submission with TLS from the first byte."),
        ControlSetting(
            "timeoutlocal", .number(0), "Time limit for programs of .qmail files is ", " seconds", ours: true,
            "Seconds that a program of a .qmail file may run; 0 is no limit."),
        ControlSetting(
            "timeoutremoteprogram", .number(7200), "Time limit for the program in the place of qmail-remote is ", " seconds", ours: true,
            "Seconds that remoteprogram may run for one recipient."),
        ControlSetting(
            "vmailuser", .text("vmail"), "Mailboxes of accounts belong to ", "", ours: true, "The account that mailboxes of accounts belong to."),
    ]
}
