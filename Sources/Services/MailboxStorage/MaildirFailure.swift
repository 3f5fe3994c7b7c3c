/// Why a message is not in a Maildir. Each but one is temporary, with qmail-local's words (spec-qmail §7.6).
package enum MaildirFailure: Error, Equatable {
    /// It is not there, is no Maildir, or is not ours.
    case noMaildir
    case cannotReadMessage
    case trouble
    /// The one that is for good.
    case overQuota

    package var text: String {
        switch self {
        case .noMaildir: "Unable to chdir to maildir. (#4.2.1)\n"
        case .cannotReadMessage: "Unable to read message. (#4.3.0)\n"
        case .overQuota: "The mailbox is full: this message would go beyond its quota. (#5.2.2)\n"
        case .trouble: "Temporary error on maildir delivery. (#4.3.0)\n"
        }
    }
}
