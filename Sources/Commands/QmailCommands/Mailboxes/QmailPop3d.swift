private import Bytes
private import Glibc
private import MailboxStorage
private import POP3
private import Posix

/// qmail-pop3d (spec-qmail §16.3): POP3 after the login, on descriptors 0 and 1, for the Maildir of its user.
struct QmailPop3d {
    private static let contentBytes = 1 << 16

    private let maildir: MaildirContents
    private let entries: [MaildirContents.Entry]
    private var session: MaildropSession
    private let stream = TimedStream(input: 0, output: 1, seconds: QmailPopup.seconds)
    private var isClosed = false

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        signal(SIGPIPE, SIG_IGN)
        guard getuid() != 0, geteuid() != 0 else {
            writeAll(Array("qmail-pop3d invoked as uid 0, terminating\n".utf8)[...], to: 2)
            return 1
        }
        guard let path = call.arguments.first, enter(path) else { return refuse("this user has no $HOME/Maildir") }
        removeStale()
        guard var server = try? QmailPop3d() else { return refuse("unable to scan $HOME/Maildir") }
        try? server.serve()
        return ExitCode.ok
    }

    private static func enter(_ path: [UInt8]) -> Bool { (try? withPath(path) { chdir($0) }) == 0 }

    private static func refuse(_ why: String) -> Int32 {
        writeAll(Array("-ERR \(why)\r\n".utf8)[...], to: 1)
        return ExitCode.ok
    }

    private static func removeStale() {
        guard let home = try? FileDescriptor.open(".", O_RDONLY | O_DIRECTORY) else { return }
        try? Maildir(Array("./".utf8), in: home).clean(now: Int(unixTime()))
    }

    private init() throws(SystemError) {
        maildir = try MaildirContents(try FileDescriptor.open(".", O_RDONLY | O_DIRECTORY))
        entries = try maildir.entries(before: Int(unixTime()))
        session = MaildropSession(entries.map { .init(bytes: $0.bytes, name: $0.uniqueName) })
    }

    private mutating func serve() throws(TimedStream.Failure) {
        try perform(session.opened())
        while !isClosed {
            let bytes = try stream.read()
            guard !bytes.isEmpty else { return }
            try perform(session.bytesReceived(bytes))
        }
    }

    private mutating func perform(_ first: [MaildropSession.Action]) throws(TimedStream.Failure) {
        var waiting = first[...]
        while let action = waiting.popFirst() {
            switch action {
            case .send(let bytes): try stream.write(bytes)
            case .retrieve(let index): waiting += try retrieve(entries[index])
            case .update(let removed): waiting += session.updated(failures: update(removing: removed))
            case .close: isClosed = true
            }
        }
    }

    /// Sends a message; what comes behind it is left to the caller.
    private mutating func retrieve(_ entry: MaildirContents.Entry) throws(TimedStream.Failure) -> [MaildropSession.Action] {
        guard let file = try? maildir.open(entry) else { return session.retrievalFailed() }
        try perform(session.retrievalBegan())
        while session.wantsContent {
            let piece = try read(file)
            guard !piece.isEmpty else { break }
            try perform(session.contentReceived(piece[...]))
        }
        return session.contentEnded()
    }

    /// - Throws: when the file cannot be read: then the connection ends, for a message that looks whole and is not must not be.
    private func read(_ file: borrowing FileDescriptor) throws(TimedStream.Failure) -> [UInt8] {
        let raw = file.raw
        do throws(SystemError) {
            var buffer = [UInt8](repeating: 0, count: Self.contentBytes)
            let count = try check("read") { buffer.withUnsafeMutableBytes { Glibc.read(raw, $0.baseAddress, $0.count) } }
            buffer.removeLast(buffer.count - count)
            return buffer
        } catch { throw .broken(errno: error.errno) }
    }

    /// - Returns: how many could not be removed.
    private func update(removing removed: Set<Int>) -> Int {
        for (index, entry) in entries.enumerated() where !removed.contains(index) { maildir.markSeen(entry) }
        return maildir.remove(removed.sorted().map { entries[$0] })
    }
}
