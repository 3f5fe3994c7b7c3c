package import Addresses
package import Frames
private import Glibc
private import Posix

/// A message on its way into the queue: through the program of `QMAILQUEUE` where that is set, else straight to the queue.
/// What every command that makes mail uses (spec-qmail §3.3).
///
/// It must not know headers: content goes on byte for byte. What holds: success is said only when the message is durable.
package final class Injection {
    private enum Door {
        case queue(QueueClient)
        case program(QueueProgram)
    }

    private let door: Door

    /// - Parameters:
    ///   - program: the value of `QMAILQUEUE`; relative to the qmail home.
    ///   - home: the qmail home where it is not the working directory; then there must be a program.
    package init(program: [UInt8]?, in home: String? = nil) throws(InjectionFailure) {
        signal(SIGPIPE, SIG_IGN)
        door = if let program { .program(try QueueProgram(program, in: home)) } else { .queue(QueueClient()) }
    }

    /// Content, in parts as they come.
    package func write(_ bytes: ArraySlice<UInt8>) throws(InjectionFailure) {
        switch door {
        case .program(let program): program.write(bytes)
        case .queue(let client): try Injection.translated { () throws(QueueRefusal) in try client.write(bytes) }
        }
    }

    /// - Returns: the number shown as "qp". The message is durable then.
    package func commit(sender: [UInt8], recipients: [[UInt8]]) throws(InjectionFailure) -> UInt64 {
        switch door {
        case .program(let program):
            try program.finish(Injection.envelope(sender, recipients))
            return UInt64(program.pid)
        case .queue(let client):
            return try Injection.translated { () throws(QueueRefusal) in
                for recipient in recipients { try client.add(recipient: try Injection.address(recipient)) }
                return try client.commit(sender: try Injection.address(sender)).qp
            }
        }
    }

    /// Nothing of the message is to be kept. Waits for the program's end, where there is one.
    package func abort() { if case .program(let program) = door { program.abort() } }

    /// Too long is told from what no address may hold (CR, LF, NUL): the queue takes neither.
    package static func address(_ bytes: [UInt8]) throws(QueueRefusal) -> Address {
        guard let address = Address(bytes) else { throw bytes.count > Address.maxBytes ? .addressTooLong : .permanentlyRejected }
        return address
    }

    /// spec-qmail §3.1
    private static func envelope(_ sender: [UInt8], _ recipients: [[UInt8]]) -> [UInt8] {
        var result = [UInt8(ascii: "F")] + sender + [0]
        for recipient in recipients { result += [UInt8(ascii: "T")] + recipient + [0] }
        return result + [0]
    }

    private static func translated<Result>(_ body: () throws(QueueRefusal) -> Result) throws(InjectionFailure) -> Result {
        do throws(QueueRefusal) { return try body() } catch { throw InjectionFailure(error) }
    }
}
