package import WireContent

/// Which of the two clients the machine is: qmail-remote, or Martlet's.
package struct Profile: Equatable, Sendable {
    /// EHLO, and what the server offers in answer (RFC 5321 §4.1.1.1); else HELO only.
    package let usesExtensions: Bool
    /// Any code below 400 is a yes, and 421 a refusal like any other (spec-qmail §14.2). Otherwise a code out of its place ends the connection.
    package let takesAnyYes: Bool
    /// QUIT follows the transaction, which is the only one.
    package let isOneShot: Bool
    /// A last line without LF is completed; else the message fails.
    package let completesLastLine: Bool
    /// What a CR that is not before LF becomes.
    package let strayCR: MessageEncoder.StrayCR

    /// notqmail 1.08's qmail-remote.
    package static let classic = Profile(
        usesExtensions: false, takesAnyYes: true, isOneShot: true, completesLastLine: false, strayCR: .lineEnd)

    package static let modern = Profile(
        usesExtensions: true, takesAnyYes: false, isOneShot: false, completesLastLine: true, strayCR: .space)

    /// What `reply` means where `expected` is the class of a yes.
    func verdict(_ reply: Reply, expecting expected: Reply.Class = .success) -> Verdict {
        if takesAnyYes ? reply.code < 400 : reply.class == expected { return .yes }
        switch reply.class {
        case .success, .intermediate: return .nonsense
        case .temporaryFailure, .permanentFailure: return .no
        }
    }

    enum Verdict {
        case yes
        case no
        /// A code that has no place here.
        case nonsense
    }

    func closesConnection(_ reply: Reply) -> Bool { !takesAnyYes && reply.closesConnection }
}
