// Every applet. Each family has its table beside its programs: an applet is added there, with its manual. Synopses are in the words of qmail's
// usage lines.
extension Applet {
    package static let all: [Applet] = injection + queueTools + users + control + delivery + mailboxes + logins + wire + start

    static let doneOrTemporary = [commonExitCodes[0], commonExitCodes[2]]
    static let commonExitCodes = [
        Entry("0", "Done."), Entry("100", "Permanent failure: the same call would fail again."), Entry("111", "Temporary failure: try again later."),
    ]
    static let home = Entry("QMAILHOME", "The qmail home, when it is neither the folder above the program's own nor /var/qmail.")
    static let queueVariable = Entry("QMAILQUEUE", "A program to run instead of handing mail to the queue; relative to the qmail home.")
}
