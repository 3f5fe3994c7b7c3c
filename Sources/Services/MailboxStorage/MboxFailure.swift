package import Posix

/// Why a message is not in an mbox. Each is temporary (spec-qmail §7.6).
package enum MboxFailure: Error, Equatable {
    case cannotOpen(SystemError)
    /// Somebody has held it for the whole of ``Mbox/lockSeconds``.
    case locked
    case cannotReadMessage(SystemError)
    case cannotWrite(SystemError)
}
