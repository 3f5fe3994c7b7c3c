private import Boundaries
package import Frames
package import Posix

/// Asks auth over `run/auth-admin` who is refused, and changes it; blocking. The working directory must be the qmail home.
///
/// Module `LoginAdministration` is the administrator's side of `run/auth-admin`. It must not know how answers are shown.
package final class LoginAdministrator {
    package enum Failure: Error, Equatable {
        case connecting(SystemError)
        /// Auth went away, was silent for too long, or said what no auth says.
        case lost
        /// Only root and auth's own account may change anything.
        case refused
    }

    private static let silenceMilliseconds: Int32 = 10_000

    private let conversation: Conversation

    package init() throws(Failure) {
        do throws(SystemError) {
            conversation = try Conversation(.authAdmin, maxLength: AuthAdmin.Answer.maxLength, silenceMilliseconds: Self.silenceMilliseconds)
        } catch {
            throw .connecting(error)
        }
    }

    package func list(_ onEntry: (AuthAdmin.Entry) -> Void) throws(Failure) { _ = try ask(.list, onEntry) }

    /// - Parameter seconds: 0 until it is released.
    package func ban(_ subject: AuthAdmin.Subject, seconds: UInt32) throws(Failure) { _ = try ask(.ban(subject, seconds: seconds)) { _ in } }

    /// - Returns: false when nothing was known of it.
    package func release(_ subject: AuthAdmin.Subject) throws(Failure) -> Bool { try ask(.release(subject)) { _ in } }

    private func ask(_ request: AuthAdmin.Request, _ onEntry: (AuthAdmin.Entry) -> Void) throws(Failure) -> Bool {
        guard conversation.send(request.encode) else { throw .lost }
        while let answer = try next() {
            switch answer {
            case .entry(let entry): onEntry(entry)
            case .end: return true
            case .unknown: return false
            case .refused: throw .refused
            }
        }
        throw .lost
    }

    private func next() throws(Failure) -> AuthAdmin.Answer? {
        do throws(FrameError) { return try conversation.next().map { (frame) throws(FrameError) in try AuthAdmin.Answer(frame) } } catch {
            throw .lost
        }
    }
}
