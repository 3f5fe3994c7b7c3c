internal import Manuals

extension Martletd {
    static let manual = ManualPage(
        name: "martletd", section: 8, summary: "run a mail system", synopsis: "[ -l ] [ HOME ]",
        description: [
            "Starts the processes of the mail system in HOME, each under its own account and with what it needs alone, and starts one again that has "
                + "ended. It stays in the foreground. Started by another account than root it runs all of them under that one.",
            "SIGHUP has control files read again that need it; SIGTERM ends it in order: what is being delivered has some seconds for its end.",
        ],
        options: [.init("-l", "The log goes to files in HOME/log instead of descriptor 2.")],
        environment: [
            .init("QMAILHOME", "The home, when no argument says it; /var/qmail when neither does."),
            .init("DEFAULTDELIVERY", "Where mail of a user without .qmail goes, before control/defaultdelivery; qmail-start sets it."),
        ],
        files: [
            .init("control/", "The configuration, a file a setting."),
            .init("run/martletd.lock", "Held while it runs: there is one for each home."),
        ],
        exitCodes: [
            .init("0", "It was asked to end."), .init("1", "It cannot start as it is configured; the log says how to mend that."),
            .init("100", "Wrong usage."),
        ])
}
