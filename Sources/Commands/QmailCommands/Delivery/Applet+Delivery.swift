private import LocalDelivery

// Manuals: what instructions of .qmail files run.
extension Applet {
    static let delivery: [Applet] = [local, martletLocal, forward, condredirect, bouncesaying, except, preline, qreceipt, qbiff]

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
        name: "martlet-local", section: 8, summary: "deliver mail to one user, as that user", synopsis: "[ confined ]",
        description: [
            "The delivery worker: started by martlet-lspawn under the recipient's identity, in his home, with a socket on descriptor 0. It takes "
                + "deliveries one after the other and ends when it has been idle. Not for people to start."
        ],
        exitCodes: doneOrTemporary, run: { runDeliveryWorker(isConfined: $0.arguments.first?.elementsEqual("confined".utf8) == true) })

    private static let instruction = "It is for lines of a .qmail file that begin with |, where its exit code decides about the delivery."
    private static let newSender = Entry("NEWSENDER", "Envelope sender; qmail-local sets it.")
    private static let deliveredTo = Entry("DTLINE", "The Delivered-To line that goes in front; qmail-local sets it.")
    private static let sender = Entry("SENDER", "Envelope sender of the message; qmail-local sets it.")

    private static let forward = Applet(
        name: "forward", section: 1, summary: "forward new mail to one or more addresses", synopsis: "address ...",
        description: [
            "Queues the message on descriptor 0 for the addresses and says the number that the queue's log calls it by. Every argument is an address, "
                + "one that begins with a hyphen too.", instruction,
        ],
        environment: [newSender, deliveredTo, queueVariable, home], exitCodes: commonExitCodes, run: { Forward.run($0) })

    private static let condredirect = Applet(
        name: "condredirect", section: 1, summary: "redirect mail to another address if a program says so", synopsis: Condredirect.synopsis,
        description: [
            "Runs the program with the message on descriptor 0. If it exits 0 the message is queued for newaddress, with the sender that it has, and "
                + "no further line of the .qmail file counts. If it exits with anything else but 111 nothing happens.", instruction,
        ],
        environment: [sender, deliveredTo, queueVariable, home],
        exitCodes: [
            Entry("0", "Not redirected: go on."), Entry("99", "Redirected: look at no further line."), commonExitCodes[1], commonExitCodes[2],
        ],
        run: { Condredirect.run($0) })

    private static let bouncesaying = Applet(
        name: "bouncesaying", section: 1, summary: "bounce mail with a text, perhaps if a program says so", synopsis: Bouncesaying.synopsis,
        description: [
            "Bounces the message with error as the reason if the program, run with the message on descriptor 0, exits 0, or if there is none.",
            instruction,
        ],
        exitCodes: [Entry("0", "The program says no: go on."), Entry("100", "Bounce."), commonExitCodes[2]], run: { Bouncesaying.run($0) })

    private static let except = Applet(
        name: "except", section: 1, summary: "reverse the exit code of a program", synopsis: Except.synopsis,
        description: ["Exits 100 if the program exits 0, and 0 if it exits with anything else but 111.", instruction],
        exitCodes: [Entry("0", "The program failed."), Entry("100", "The program succeeded."), commonExitCodes[2]], run: { Except.run($0) })

    private static let preline = Applet(
        name: "preline", section: 1, summary: "prepend lines to the message", synopsis: "[ -frdFRD ] command [ arg ... ]",
        description: [
            "Runs the command with the message on its descriptor 0, behind the From_ line, the Return-Path line and the Delivered-To line that an mbox "
                + "would have: for programs that expect to be given mail by others than qmail-local.", instruction,
        ],
        options: [
            Entry("-f", "Without the From_ line."), Entry("-r", "Without the Return-Path line."), Entry("-d", "Without the Delivered-To line."),
            Entry("-F, -R, -D", "With it. The default."),
        ],
        environment: [Entry("UFLINE, RPLINE, DTLINE", "The lines; qmail-local sets them. All three must be there.")],
        exitCodes: [Entry("CODE", "The command's own."), Entry("100", "Wrong usage, or there is no such command."), commonExitCodes[2]],
        run: { Preline.run($0) })

    private static let qreceipt = Applet(
        name: "qreceipt", section: 1, summary: "respond to delivery notice requests", synopsis: Qreceipt.synopsis,
        description: [
            "If the message on descriptor 0 has a Notice-Requested-Upon-Delivery-To field with deliveryaddress in it, its envelope sender is told that "
                + "it has been delivered. No notice goes out for a bounce.", instruction,
        ],
        environment: [sender, queueVariable, home], exitCodes: commonExitCodes, run: { Qreceipt.run($0) })

    private static let qbiff = Applet(
        name: "qbiff", section: 1, summary: "announce new mail the moment it arrives", synopsis: "",
        description: [
            "Writes recipient, sender and the beginning of the message on descriptor 0 to every terminal on which the user is logged in and has said biff "
                + "y.", instruction,
        ],
        environment: [Entry("USER, LOCAL, SENDER", "Who is told, and of what; qmail-local sets them.")],
        files: [Entry("/run/utmp", "Who is logged in.")], exitCodes: [Entry("0", "Always: no mail is lost for an announcement.")],
        run: { Qbiff.run($0) })
}
