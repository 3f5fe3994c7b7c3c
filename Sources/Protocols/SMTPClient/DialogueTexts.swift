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

    // TLS and login: the host is asked again later, and another one of the same destination meanwhile.

    /// RFC 5248: X.7.4, security features not supported.
    var offersNoTLS: RecipientReport {
        RecipientReport(.deferred, "Connected to \(peer) but it does not offer TLS, which is demanded here. (#4.7.4)\n")
    }
    /// X.7.5, cryptographic failure.
    var talksBeforeTLS: RecipientReport {
        RecipientReport(.deferred, "Connected to \(peer) but what it said before TLS went on where only TLS may speak. (#4.7.5)\n")
    }
    func failedTLS(_ reason: String) -> RecipientReport {
        RecipientReport(.deferred, "Connected to \(peer) but TLS failed: \(reason). (#4.7.5)\n")
    }
    func refusedTLS(_ reply: Reply) -> RecipientReport { connected(but: "it refused the TLS that it offers", reply, .deferred) }
    var offersNoLogin: RecipientReport {
        RecipientReport(.deferred, "Connected to \(peer) but it offers no way of login that may be used here. (#4.7.4)\n")
    }
    func refusedLogin(_ reply: Reply) -> RecipientReport { connected(but: "the login was refused", reply, .deferred) }
    var distrustedLogin: RecipientReport {
        RecipientReport(.deferred, "Connected to \(peer) but it did not prove in the login that it knows the password. (#4.7.5)\n")
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
