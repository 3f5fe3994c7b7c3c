private import Boundaries
package import Frames
package import Posix

/// Asks the queue over `run/admin`, blocking. The working directory must be the qmail home.
///
/// Module `QueueAdministration` is the administrator's side of `run/admin`. It must not know how answers are shown.
package final class AdminClient {
    package enum Failure: Error, Equatable {
        case connecting(SystemError)
        /// The queue went away, was silent for too long, or said what no queue says.
        case lost

        package var text: String {
            switch self {
            case .connecting(let error): "unable to reach the queue: \(error)"
            case .lost: "lost the queue"
            }
        }
    }

    /// How long the queue may be silent.
    private static let silenceMilliseconds: Int32 = 60_000

    private let conversation: Conversation

    package init() throws(Failure) {
        do throws(SystemError) {
            conversation = try Conversation(.admin, maxLength: Admin.Answer.maxLength, silenceMilliseconds: Self.silenceMilliseconds)
        } catch {
            throw .connecting(error)
        }
    }

    /// Calls `onAnswer` for all that comes before `end`.
    package func ask(_ request: Admin.Request, _ onAnswer: (Admin.Answer) -> Void) throws(Failure) {
        guard conversation.send(request.encode) else { throw .lost }
        do throws(FrameError) {
            while let frame = try conversation.next() {
                let answer = try Admin.Answer(frame)
                if answer == .end { return }
                onAnswer(answer)
            }
        } catch {}
        throw .lost
    }
}
