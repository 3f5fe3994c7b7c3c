private import Addresses
private import Bytes
private import Frames
private import Glibc
private import Injection
private import Posix

/// qmail-queue (spec-qmail §3.1): message on descriptor 0, envelope on 1, the answer is the exit code. It has no right that its caller has not;
/// whatever the caller leaves it (descriptors, limits, signals, folder) can hurt only this one message, which then is not queued.
enum QmailQueue {
    static func run(_: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0, 1])
        do throws(SystemError) { try QmailHome.enter() } catch { return Int32(QueueRefusal.troubleInHome.rawValue) }
        do throws(QueueRefusal) {
            try queue()
            return ExitCode.ok
        } catch {
            return Int32(error.rawValue)
        }
    }

    private static func queue() throws(QueueRefusal) {
        let client = QueueClient()
        var message = Input(0)
        while let chunk = try next(&message, 0, client) { try client.write(chunk) }
        var envelope = EnvelopeReader()
        var input = Input(1)
        while !envelope.isComplete {
            guard let chunk = try next(&input, 1, client) else { throw .readError }
            try envelope.take(chunk) { (recipient) throws(QueueRefusal) in try client.add(recipient: recipient) }
        }
        _ = try client.commit(sender: envelope.sender)
    }

    private static func next(_ input: inout Input, _ descriptor: Int32, _ client: QueueClient) throws(QueueRefusal) -> ArraySlice<UInt8>? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let milliseconds = client.millisecondsLeft
            guard milliseconds > 0 else { throw .timeout }
            let ready = poll(&entry, 1, milliseconds)
            guard ready != 0 else { throw .timeout }
            if ready > 0 || errno != EINTR { break }
        }
        do throws(Input.Failure) { return try input.chunk() } catch { throw .readError }
    }
}
