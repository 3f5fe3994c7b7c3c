import Addresses
import Frames
import Glibc
import Posix
import Synchronization

/// A queue that takes mail at `HOME/run/inject/socket` and remembers it, or answers as it is told. Each has a home of its own.
final class FakeQueue: Sendable {
    enum Answer: Sendable {
        case accept
        case refuse(QueueRefusal)
        /// Closes instead of answering the commit.
        case vanish
        case garbage
    }

    struct Mail: Sendable, Equatable {
        var content: [UInt8] = []
        var sender = ""
        var recipients: [String] = []
    }

    let home: String
    private let answer: Answer
    private let mail = Mutex<[Mail]>([])
    private let listener: Int32

    init(_ answer: Answer = .accept) throws {
        self.answer = answer
        var template = Array("/tmp/martlet-test-XXXXXX\0".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError(call: "mkdtemp", subject: "", errno: errno) }
        home = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for folder in ["/run", "/run/inject", "/control"] { mkdir(home + folder, 0o700) }
        listener = try check("socket") { socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array("\(home)/run/inject/socket".utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let descriptor = listener
        try check("bind") {
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
            }
        }
        try check("listen") { listen(descriptor, 16) }
        let thread = Thread("fake queue") { [self] in
            while true {
                let connection = accept(listener, nil, nil)
                // Closed here, not by `stop()`: its number could be another test's by the time this thread accepts again.
                guard connection >= 0 else {
                    close(listener)
                    return
                }
                serve(connection)
                close(connection)
            }
        }
        _ = consume thread
    }

    /// Ends the thread and removes the home.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        for entry in ["/filter", "/run/inject/socket", "/run/inject", "/run", "/control", ""] { remove(home + entry) }
    }

    /// Makes a program in the home. Another process writes it: a file that any child of this one holds open for writing cannot be run.
    func makeProgram(_ name: String, _ script: String) throws {
        guard system("cd \(home) && cat >\(name) <<'END' && chmod 700 \(name)\n\(script)END\n") == 0 else {
            throw SystemError(call: "system", subject: name, errno: EIO)
        }
    }

    /// The content of a small file in the home, which is removed.
    func take(_ name: String) throws -> [UInt8] {
        let descriptor = try FileDescriptor.open("\(home)/\(name)", O_RDONLY)
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = try check("read") { buffer.withUnsafeMutableBytes { read(descriptor.raw, $0.baseAddress, $0.count) } }
        remove("\(home)/\(name)")
        return Array(buffer[..<count])
    }

    var received: [Mail] { mail.withLock { $0 } }

    private func serve(_ connection: Int32) {
        var decoder = FrameDecoder(maxLength: InjectRequest.maxLength)
        var message = Mail()
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = buffer.withUnsafeMutableBytes { recv(connection, $0.baseAddress, $0.count, 0) }
            guard count > 0 else { return }
            decoder.append(buffer[..<count])
            while let frame = try? decoder.next() {
                switch try? InjectRequest(frame) {
                case .content(_, let bytes): message.content += bytes
                case .recipients(_, let recipients): message.recipients += recipients.map(\.description)
                case .commit(let stream, let sender):
                    message.sender = sender.description
                    guard reply(to: stream, message, connection) else { return }
                    message = Mail()
                default: return
                }
            }
        }
    }

    private func reply(to stream: UInt32, _ message: Mail, _ connection: Int32) -> Bool {
        var output: [UInt8] = []
        switch answer {
        case .accept:
            mail.withLock { $0.append(message) }
            InjectAnswer.accepted(stream: stream, id: 1, qp: 4711, time: 0).encode(into: &output)
        case .refuse(let refusal): InjectAnswer.refused(stream: stream, refusal).encode(into: &output)
        case .vanish: return false
        case .garbage: output = [UInt8](repeating: 0xFF, count: 100_000)
        }
        return output.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) } == output.count
    }
}
