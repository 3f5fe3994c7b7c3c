internal import Addresses
internal import Injection

/// The message of a conversation on its way into the queue, as the actions of its machine say; one after the other.
struct QueueHandover {
    private let program: [UInt8]?
    private var message: Injection?

    /// - Parameter program: the value of `QMAILQUEUE`.
    init(program: [UInt8]?) { self.program = program }

    mutating func begin() throws(InjectionFailure) { message = try Injection(program: program) }

    /// - Returns: why the message is gone. Of one that is gone already nothing more is said.
    mutating func write(_ bytes: ArraySlice<UInt8>) -> InjectionFailure? {
        guard let message else { return nil }
        do throws(InjectionFailure) {
            try message.write(bytes)
            return nil
        } catch {
            self.message = nil
            return error
        }
    }

    /// - Returns: the number shown as "qp"; nil when there is no message any more.
    mutating func commit(_ envelope: Envelope) -> Result<UInt64, InjectionFailure>? {
        guard let message else { return nil }
        self.message = nil
        do throws(InjectionFailure) {
            return .success(try message.commit(sender: envelope.sender.bytes, recipients: envelope.recipients.map(\.bytes)))
        } catch {
            return .failure(error)
        }
    }

    mutating func abort() {
        message?.abort()
        message = nil
    }
}
