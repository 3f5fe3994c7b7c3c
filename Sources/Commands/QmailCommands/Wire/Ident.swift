private import Addresses
private import Bytes
private import Glibc
private import Posix

/// RFC 1413: asks the client's host whose connection this is. The answer is what that host likes to say.
enum Ident {
    private static let port: UInt16 = 113
    private static let maxReplyBytes = 1000

    /// - Returns: nil when there is no answer, or no user in it, within `seconds` for all of it.
    static func user(of remote: Endpoint, at local: Endpoint, seconds: UInt64) -> [UInt8]? {
        let end = monotonicNanoseconds() + seconds * 1_000_000_000
        // A server that hangs up must not end us.
        let before = signal(SIGPIPE, SIG_IGN)
        defer { signal(SIGPIPE, before) }
        let server = Endpoint(address: remote.address, port: port)
        guard let socket = try? server.connect(from: local.address, seconds: seconds) else { return nil }
        guard (try? stream(socket, until: end)?.write(Array("\(remote.port), \(local.port)\r\n".utf8))) != nil else { return nil }
        var reply: [UInt8] = []
        while reply.count < maxReplyBytes, !reply.contains(ASCII.lf), let bytes = try? stream(socket, until: end)?.read(), !bytes.isEmpty {
            reply += bytes
        }
        return user(in: reply)
    }

    /// Nil when the time is over.
    private static func stream(_ socket: borrowing FileDescriptor, until end: UInt64) -> TimedStream? {
        let now = monotonicNanoseconds()
        return now < end ? TimedStream(input: socket.raw, output: socket.raw, seconds: (end - now) / 1_000_000_000 + 1) : nil
    }

    /// `port-pair ":" "USERID" ":" opsys-field ":" user-id`; blanks around the second field are allowed, and dropped before the last.
    static func user(in reply: [UInt8]) -> [UInt8]? {
        let line = reply.prefix { $0 != ASCII.lf && $0 != ASCII.cr }
        let fields = line.split(separator: ASCII.colon, maxSplits: 3, omittingEmptySubsequences: false)
        guard fields.count == 4, fields[1].filter({ !$0.isBlank }).elementsEqual("USERID".utf8) else { return nil }
        let user = fields[3].drop { $0.isBlank }
        return user.isEmpty || user.contains(0) ? nil : Array(user)
    }
}
