private import Bytes
private import Glibc
private import MailboxStorage
internal import POP3
internal import Posix

/// POP3 after the login over blocking descriptors, about the Maildir that is the working directory.
struct MaildropConversation {
    private let maildir: MaildirContents
    private let entries: [MaildirContents.Entry]
    private var session: MaildropSession
    private let stream: TimedStream
    /// Replies to what came together leave together.
    private var output: [UInt8] = []
    private var isClosed = false

    private static let contentBytes = 1 << 16
    private static let maxOutput = 1 << 18

    /// Removes what dead deliveries left, and reads the folders.
    init(_ profile: Profile, _ stream: TimedStream) throws(SystemError) {
        self.stream = stream
        let here = try FileDescriptor.open(".", O_RDONLY | O_DIRECTORY)
        try? Maildir(Array("./".utf8), in: here).clean(now: Int(unixTime()))
        maildir = try MaildirContents(here)
        entries = try maildir.entries(before: Int(unixTime()))
        session = MaildropSession(profile, entries.map { .init(bytes: $0.bytes, name: $0.uniqueName) })
    }

    /// Until QUIT, or until the client is gone, which leaves everything as it is.
    mutating func run() {
        // A client that takes no replies, or is gone, is told nothing.
        try? converse()
    }

    private mutating func converse() throws(TimedStream.Failure) {
        try perform(session.opened())
        try flush()
        try stream.forEachPiece { (bytes) throws(TimedStream.Failure) in
            try perform(session.bytesReceived(bytes))
            try flush()
            return !isClosed
        }
    }

    private mutating func perform(_ first: [MaildropSession.Action]) throws(TimedStream.Failure) {
        var waiting = first[...]
        while let action = waiting.popFirst() {
            switch action {
            case .send(let bytes): try send(bytes)
            case .retrieve(let index): waiting += try retrieve(entries[index])
            case .update(let removed): waiting += session.updated(failures: update(removing: removed))
            case .close: isClosed = true
            }
        }
    }

    private mutating func send(_ bytes: [UInt8]) throws(TimedStream.Failure) {
        output += bytes
        if output.count >= Self.maxOutput { try flush() }
    }

    private mutating func flush() throws(TimedStream.Failure) {
        try stream.write(output)
        output.removeAll(keepingCapacity: true)
    }

    /// Sends a message; what comes behind it is left to the caller.
    private mutating func retrieve(_ entry: MaildirContents.Entry) throws(TimedStream.Failure) -> [MaildropSession.Action] {
        guard let file = try? maildir.open(entry) else { return session.retrievalFailed() }
        try perform(session.retrievalBegan())
        // One byte more than the file has, so that the first read finds its end too.
        let size = entry.bytes < Self.contentBytes ? Int(entry.bytes) + 1 : Self.contentBytes
        while session.wantsContent {
            let piece = try read(file, size)
            try perform(session.contentReceived(piece[...]))
            if piece.count < size { break }
        }
        return session.contentEnded()
    }

    /// - Returns: fewer bytes at the end of the file.
    /// - Throws: when the file cannot be read: then the connection ends, for a message that looks whole and is not must not be.
    private func read(_ file: borrowing FileDescriptor, _ size: Int) throws(TimedStream.Failure) -> [UInt8] {
        let raw = file.raw
        do throws(SystemError) {
            var count = 0
            var failure: SystemError?
            let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
                do throws(SystemError) {
                    count = try check("read") { Glibc.read(raw, buffer.baseAddress, size) }
                } catch { failure = error }
                filled = count
            }
            if let failure { throw failure }
            return bytes
        } catch { throw .broken(errno: error.errno) }
    }

    /// - Returns: how many could not be removed.
    private func update(removing removed: Set<Int>) -> Int {
        for (index, entry) in entries.enumerated() where !removed.contains(index) { maildir.markSeen(entry) }
        return maildir.remove(removed.sorted().map { entries[$0] })
    }
}
