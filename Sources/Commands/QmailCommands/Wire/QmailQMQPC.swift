private import Addresses
private import Bytes
private import ControlFiles
private import Frames
private import Glibc
private import Injection
private import Posix
private import QMQP

/// qmail-qmqpc (spec-qmail §15.3): takes a message and its envelope as qmail-queue does, and gives them to the first server of control/qmqpservers that
/// can be reached. As `QMAILQUEUE` it is all that a host without a queue needs.
enum QmailQMQPC {
    private static let port: UInt16 = 628
    private static let connectSeconds: UInt64 = 10
    private static let seconds: UInt64 = 60

    /// Exit codes beyond qmail-queue's own (spec-qmail §3.2).
    private enum Failure: Int32, Error {
        case refused = 31
        case outOfMemory = 51
        case unreadable = 54
        case noServers = 55
        case noSocket = 56
        case noHome = 61
        case deferred = 71
        case connectionTimedOut = 72
        case connectionRefused = 73
        case connectionLost = 74
        case addressTooLong = 11
        case badEnvelope = 91
    }

    static func run(_: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0, 1])
        signal(SIGPIPE, SIG_IGN)
        do throws(Failure) {
            do throws(SystemError) { try QmailHome.enter() } catch { throw Failure.noHome }
            let servers = try servers()
            let message = try readMessage()
            guard let request = QMQPRequest(messageBytes: message.count, try readEnvelope()) else { throw .outOfMemory }
            switch try exchange(request, message, try connect(servers)) {
            case .accepted: return ExitCode.ok
            case .deferred: throw .deferred
            case .refused: throw .refused
            }
        } catch {
            return error.rawValue
        }
    }

    /// Lines that are no addresses are skipped.
    private static func servers() throws(Failure) -> [IPAddress] {
        do throws(SystemError) {
            let servers = try ControlDirectory().list("qmqpservers")?.compactMap { IPAddress(dotted: $0) } ?? []
            guard !servers.isEmpty else { throw SystemError(call: "", subject: "", errno: ENOENT) }
            return servers
        } catch { throw .noServers }
    }

    // MARK: - What is sent

    private static func readMessage() throws(Failure) -> [UInt8] {
        var message: [UInt8] = []
        var input = Input(0)
        do throws(Input.Failure) {
            while let chunk = try input.chunk() {
                message += chunk
                // Its length stands in front, so it must be whole before anything can be sent.
                guard QMQPRequest.canHold(messageBytes: message.count) else { throw Input.Failure(errno: ENOMEM) }
            }
        } catch { throw error.errno == ENOMEM ? .outOfMemory : .unreadable }
        return message
    }

    private static func readEnvelope() throws(Failure) -> Envelope {
        var reader = EnvelopeReader()
        var recipients: [Address] = []
        var input = Input(1)
        while !reader.isComplete {
            let chunk: ArraySlice<UInt8>?
            do throws(Input.Failure) { chunk = try input.chunk() } catch { throw .unreadable }
            guard let chunk else { throw .badEnvelope }
            do throws(QueueRefusal) {
                try reader.take(chunk) { recipients.append($0) }
            } catch { throw Failure(rawValue: Int32(error.rawValue)) ?? .badEnvelope }
        }
        return Envelope(sender: reader.sender, recipients: recipients)
    }

    // MARK: - Servers

    private static func connect(_ servers: [IPAddress]) throws(Failure) -> FileDescriptor {
        var failure = Failure.connectionRefused
        for server in servers {
            do throws(SystemError) {
                return try Endpoint(address: server, port: port).connect(seconds: connectSeconds)
            } catch {
                if error.call == "socket" { throw .noSocket }
                failure = error.errno == ETIMEDOUT ? .connectionTimedOut : .connectionRefused
            }
        }
        throw failure
    }

    /// A server that was reached is the only one asked: it may have taken the message.
    private static func exchange(_ request: QMQPRequest, _ message: [UInt8], _ socket: consuming FileDescriptor) throws(Failure) -> QMQPAnswer {
        let stream = TimedStream(input: socket.raw, output: socket.raw, seconds: seconds)
        do throws(TimedStream.Failure) {
            for part in [request.beforeMessage, message, request.afterMessage] { try stream.write(part) }
            while true {
                let bytes = try stream.read()
                if let answer = QMQPAnswer(bytes) { return answer }
                guard !bytes.isEmpty else { throw TimedStream.Failure.timeout }
            }
        } catch { throw .connectionLost }
    }
}
