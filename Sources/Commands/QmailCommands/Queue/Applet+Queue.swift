// Manuals: what asks and tells the queue.
extension Applet {
    static let queueTools: [Applet] = [mailq, qread, qstat]

    private static let mailq = Applet(
        name: "mailq", section: 8, summary: "list the queue: qmail-qread by another name", synopsis: "", description: ["See qmail-qread."],
        exitCodes: commonExitCodes, run: { QmailQread.run($0) })

    private static let qread = Applet(
        name: "qmail-qread", section: 8, summary: "list outgoing messages and recipients", synopsis: "",
        description: [
            "For each message in the queue a line with date, number, size and sender, then a line for each recipient: channel "
                + "and address. Recipients that need no more attempts are marked done; a message that will bounce is marked bouncing."
        ],
        environment: [home], files: [Entry("run/admin/socket", "Where the queue is asked; for administrators only.")],
        exitCodes: doneOrTemporary, run: { QmailQread.run($0) })

    private static let qstat = Applet(
        name: "qmail-qstat", section: 8, summary: "summarize status of the mail queue", synopsis: "",
        description: ["Prints how many messages the queue holds, and how many of them it has not looked at yet."], environment: [home],
        files: [Entry("run/admin/socket", "Where the queue is asked; for administrators only.")],
        exitCodes: doneOrTemporary, run: { QmailQstat.run($0) })
}
