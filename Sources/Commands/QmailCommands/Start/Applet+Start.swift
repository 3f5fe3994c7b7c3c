// Manuals: starting the whole, and its log.
extension Applet {
    static let start: [Applet] = [qmailStart, splogger]

    private static let qmailStart = Applet(
        name: "qmail-start", section: 8, summary: "turn on mail delivery", synopsis: QmailStart.synopsis,
        description: [
            "Goes on as martletd, which starts and keeps everything. It is what rc scripts call: env - PATH=\"/var/qmail/bin:$PATH\" qmail-start "
                + "./Maildir/ splogger qmail.",
            "defaultdelivery is what users without a .qmail file are delivered by; it goes before control/defaultdelivery. Without either it is "
                + "./Mailbox. logger is a program, found through PATH, that reads the log on descriptor 0 under the account qmaill. Without one the log "
                + "goes to descriptor 1.",
        ],
        environment: [home], files: [Entry("control/defaultdelivery", "Default delivery instructions.")],
        exitCodes: [Entry("CODE", "martletd's own."), commonExitCodes[2]], run: { QmailStart.run($0) })

    private static let splogger = Applet(
        name: "splogger", section: 8, summary: "make log entries through syslog", synopsis: Splogger.synopsis,
        description: [
            "Sends each line of descriptor 0 to syslog, with the time it came in front and tag as the program. Lines that begin with alert: or warning: "
                + "have that level, others info. A line of more than 799 bytes goes in pieces, with + in front of the later ones. Bytes that are not "
                + "visible ASCII become question marks.", "facility is a number; 2, mail, is the default.",
        ],
        exitCodes: [Entry("0", "The end of the input.")], run: { Splogger.run($0) })
}
