/// The sentences of qmail-remote (spec-qmail §14.2), about one server.
struct DialogueTexts {
    /// The server's address, as text.
    let peer: String

    /// `Connected to IP but WHAT.` and what the server said.
    func connected(but what: String, _ reply: Reply, _ class: RecipientReport.Class) -> RecipientReport {
        quoting(reply, "Connected to \(peer) but \(what).\n", `class`)
    }

    func doesNotLikeRecipient(_ reply: Reply) -> RecipientReport { quoting(reply, "\(peer) does not like recipient.\n", reply.class.report) }
    func failedOnData(_ reply: Reply) -> RecipientReport { quoting(reply, "\(peer) failed on DATA command.\n", reply.class.report) }
    func failedAfterMessage(_ reply: Reply) -> RecipientReport { quoting(reply, "\(peer) failed after I sent the message.\n", reply.class.report) }
    func acceptedMessage(_ reply: Reply) -> RecipientReport { quoting(reply, "\(peer) accepted message.\n", .delivered) }

    /// Every recipient was refused; their replies have been quoted already.
    var givingUp: RecipientReport { RecipientReport(.failed, "Giving up on \(peer).\n") }

    func connectionDied(possibleDuplicate: Bool) -> RecipientReport {
        RecipientReport(.deferred, "Connected to \(peer) but connection died. \(possibleDuplicate ? "Possible duplicate! " : "")(#4.4.2)\n")
    }

    /// RFC 6531 §3.5, RFC 5248: 5.6.7.
    var noInternationalAddresses: RecipientReport {
        RecipientReport(.failed, "Connected to \(peer) but it does not take internationalized addresses. (#5.6.7)\n")
    }

    static let unableToReadMessage = RecipientReport(.deferred, "Unable to read message. (#4.3.0)\n")
    static let partialFinalLine = RecipientReport(.failed, "SMTP cannot transfer messages with partial final lines. (#5.6.2)\n")
    static let cannotTransferNUL = RecipientReport(.failed, "SMTP cannot transfer messages with NUL bytes. (#5.6.1)\n")
    static let cannotTransferSender = RecipientReport(.failed, "SMTP cannot transfer the sender's address. (#5.1.7)\n")
    static let cannotTransferRecipient = RecipientReport(.failed, "SMTP cannot transfer this address. (#5.1.3)\n")

    private func quoting(_ reply: Reply, _ text: String, _ class: RecipientReport.Class) -> RecipientReport {
        RecipientReport(`class`, Array(text.utf8) + Array("Remote host said: ".utf8) + reply.text)
    }
}
