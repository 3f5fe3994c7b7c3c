internal import Addresses
private import Glibc
private import Injection
internal import MailboxStorage
private import Posix

/// Gives a message to the queue for other addresses, by qmail-queue or the program that `QMAILQUEUE` names in its place (spec-qmail §3.3, §7.6).
///
/// A process of its own for each, where programs may run: its number is what the log calls the new message by.
struct Forwarding {
    let sender: [UInt8]
    let recipients: [Address]
    /// To the queue itself, from this process: its working directory is the qmail home.
    let isDirect: Bool

    private static let queue = Array("bin/qmail-queue".utf8)

    /// - Returns: the number that the queue's log calls it by.
    func queue(_ deliveredTo: [UInt8], _ message: MessageContent) throws(Undeliverable) -> UInt64 {
        do throws(InjectionFailure) {
            let injection =
                isDirect ? try Injection(program: nil) : try Injection(program: Forwarding.program ?? Forwarding.queue, in: QmailHome.find())
            try injection.write((deliveredTo + message.head)[...])
            // Without the end of the envelope nothing is queued: an injection that is let go is none.
            try Forwarding.writeRest(of: message, to: injection)
            return try injection.commit(sender: sender, recipients: recipients.map(\.bytes))
        } catch {
            let text = "Unable to forward message: \(error.text).\n"
            throw error.isPermanent ? .failed(text) : .deferred(text)
        }
    }

    private static var program: [UInt8]? { getenv("QMAILQUEUE").map { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) } }

    private static func writeRest(of message: MessageContent, to injection: Injection) throws(InjectionFailure) {
        var refusal: InjectionFailure?
        do throws(SystemError) {
            try message.forEachChunkAfterHead { chunk in
                do throws(InjectionFailure) { try injection.write(chunk[...]) } catch { refusal = error }
                return refusal == nil
            }
        } catch {
            throw .cannotRead
        }
        if let refusal { throw refusal }
    }
}
