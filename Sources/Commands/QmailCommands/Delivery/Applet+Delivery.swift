private import LocalDelivery

// Manuals: what instructions of .qmail files run.
extension Applet {
    static let delivery: [Applet] = [local, martletLocal]

    private static let local = Applet(
        name: "qmail-local", section: 8, summary: "deliver or forward a mail message",
        synopsis: "[ -nN ] user homedir local dash ext domain sender aliasempty",
        description: [
            "qmail-local reads a message from descriptor 0, which must be a file, and delivers it as the .qmail file says that answers for dash "
                + "and ext in homedir; without one as aliasempty says. It runs as the user who calls it.",
            "A delivery by the mail system is the same, done by martlet-local.",
        ],
        options: [
            Entry("-n", "Do not deliver; print a line for each delivery that would be made."), Entry("-N", "Deliver. The default."),
        ],
        environment: [
            Entry("PATH, QMAILHOME, QMAILQUEUE", "Passed on to programs. Every other variable of theirs is made from the arguments."),
            Entry("QMAILQUEUE", "A program to run instead of qmail-queue for forwards; relative to the qmail home."),
        ],
        exitCodes: [
            Entry("0", "Delivered."), Entry("100", "Permanent failure: the message is to be bounced."),
            Entry("111", "Temporary failure: the message is to be delivered later."),
        ], run: { QmailLocal.run($0) })

    private static let martletLocal = Applet(
        name: "martlet-local", section: 8, summary: "deliver mail to one user, as that user", synopsis: "",
        description: [
            "The delivery worker: started by martlet-lspawn under the recipient's identity, in his home, with a socket on descriptor 0. It takes "
                + "deliveries one after the other and ends when it has been idle. Not for people to start."
        ],
        exitCodes: doneOrTemporary, run: { _ in runDeliveryWorker() })
}
