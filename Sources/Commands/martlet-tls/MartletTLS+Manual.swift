internal import Manuals

extension MartletTLS {
    static let manual = ManualPage(
        name: "martlet-tls", section: 8, summary: "put TLS in front of a program on one connection",
        synopsis: "[ -s ] [ -c CERTIFICATE -k KEY ] PROGRAM [ ARGUMENTS ]",
        description: [
            "Speaks TLS as a server on a connection that tcpserver, inetd or a socket of systemd has put on descriptors 0 and 1, and runs PROGRAM, "
                + "which is found through PATH, as a child whose descriptors 0 and 1 are what is inside. It ends as PROGRAM does.",
            "The certificate is that of the mail system, whose process for keys signs: no key is read here. With -c and -k it is another.",
            "PROGRAM has variables whose names begin with TLS_ and SSL_, which say what was agreed on; those that were there before are taken out.",
        ],
        options: [
            .init(
                "-s",
                "TLS only when PROGRAM asks for it (UCSPI-TLS): it has UCSPITLS, and in SSLCTLFD, SSLREADFD and SSLWRITEFD the descriptors for that."),
            .init("-c CERTIFICATE", "A file with the certificate and those above it, in PEM. Goes with -k."),
            .init("-k KEY", "A file with its key, in PEM."),
        ],
        environment: [
            .init("CERTFILE, KEYFILE", "As -c and -k, which go before."),
            .init("QMAILHOME", "The home of the mail system; /var/qmail when it is not set."),
        ],
        files: [.init("run/keys", "Where signatures are asked for.")],
        exitCodes: [
            .init("100", "Wrong usage."), .init("111", "No TLS came about, or PROGRAM could not be run or was killed."),
            .init("other", "PROGRAM's own."),
        ])
}
