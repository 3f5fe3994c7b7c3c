private import Bytes
private import Dates
private import Glibc
private import MailboxStorage
private import Posix

/// maildir2mbox (qmail §12.2): moves the messages of a Maildir to the end of an mbox, for readers that know nothing else.
enum Maildir2mbox {
    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        umask(0o077)
        do throws(Failure) {
            try move(try Places(call.environment))
            return ExitCode.ok
        } catch {
            return fatal("maildir2mbox", error.text, ExitCode.temporary)
        }
    }

    private struct Failure: Error {
        let text: [UInt8]

        init(_ text: String) { self.text = Array(text.utf8) }

        init(_ action: String, _ path: [UInt8], _ error: SystemError) {
            text = Array("unable to \(action) ".utf8) + path + ": \(error.reason)".utf8
        }
    }

    private struct Places {
        let mbox: [UInt8]
        /// The new mbox while it is written.
        let temporary: [UInt8]
        let maildir: [UInt8]

        init(_ environment: Environment) throws(Failure) {
            mbox = try Places.variable("MAIL", environment)
            temporary = try Places.variable("MAILTMP", environment)
            maildir = try Places.variable("MAILDIR", environment)
        }

        private static func variable(_ name: String, _ environment: Environment) throws(Failure) -> [UInt8] {
            guard let value = environment[name] else { throw Failure("\(name) not set") }
            return value
        }
    }

    /// A message in `new/` or `cur/`.
    private struct Entry {
        let path: [UInt8]
        let time: Int
    }

    private static func move(_ places: Places) throws(Failure) {
        try attempt("chdir to", places.maildir) { (path) throws(SystemError) in try check("chdir") { chdir(path) } }
        removeStale()
        let entries = try scan(places.maildir)
        guard !entries.isEmpty else { return }
        let mbox = try lock(places.mbox)
        try write(entries, mbox, places)
        try attempt("move to", places.mbox) { (path) throws(SystemError) in
            try withPath(places.temporary) { (from) throws(SystemError) in try check("rename") { rename(from, path) } }
        }
        // The messages may go only when the name of the new mbox cannot be lost.
        try syncFolder(of: places.mbox)
        for entry in entries { remove(entry.path) }
    }

    private static func attempt(_ action: String, _ path: [UInt8], _ body: (UnsafePointer<CChar>) throws(SystemError) -> Void) throws(Failure) {
        do throws(SystemError) { try withPath(path, body) } catch { throw Failure(action, path, error) }
    }

    private static func open(_ action: String, _ path: [UInt8], _ flags: Int32) throws(Failure) -> FileDescriptor {
        do throws(SystemError) {
            return FileDescriptor(
                owning: try withPath(path) { (path) throws(SystemError) in try check("open") { Glibc.open(path, flags | O_CLOEXEC, 0o600) } })
        } catch { throw Failure(action, path, error) }
    }

    /// Others put a new file in the place of the old one, as we do: then the lock is on a file that nobody will find.
    private static func lock(_ path: [UInt8]) throws(Failure) -> FileDescriptor {
        while true {
            let file = try open("lock", path, O_RDWR | O_CREAT)
            let raw = file.raw
            do throws(SystemError) { try check("lock") { flock(raw, LOCK_EX) } } catch { throw Failure("lock", path, error) }
            var (opened, named) = (Glibc.stat(), Glibc.stat())
            let found = try? withPath(path) { stat($0, &named) }
            if fstat(raw, &opened) == 0, found == 0, opened.st_ino == named.st_ino, opened.st_dev == named.st_dev { return file }
        }
    }

    private static func syncFolder(of path: [UInt8]) throws(Failure) {
        let slash = path.lastIndex(of: ASCII.slash)
        let folder = try open("sync the folder of", slash.map { Array(path[...$0]) } ?? [ASCII.dot], O_RDONLY | O_DIRECTORY)
        guard fsync(folder.raw) == 0 else {
            throw Failure("sync the folder of", path, SystemError(call: "fsync", subject: "", errno: errno))
        }
    }

    private static func removeStale() {
        guard let home = try? FileDescriptor.open(".", O_RDONLY | O_DIRECTORY) else { return }
        try? Maildir(Array("./".utf8), in: home).clean(now: Int(unixTime()))
    }

    // MARK: - The Maildir

    /// The oldest first. Files of this second may still be joined by others of the same one: they wait for the next time.
    private static func scan(_ maildir: [UInt8]) throws(Failure) -> [Entry] {
        do throws(SystemError) {
            let contents = try MaildirContents(try FileDescriptor.open(".", O_RDONLY | O_DIRECTORY))
            return try contents.entries(before: Int(unixTime())).map { Entry(path: "\($0.folder.rawValue)/".utf8 + $0.name, time: $0.time) }
        } catch { throw Failure("read", maildir + "/\(error.subject)".utf8, error) }
    }

    private static func remove(_ path: [UInt8]) {
        do throws(SystemError) {
            try withPath(path) { (path) throws(SystemError) in try check("unlink") { unlink(path) } }
        } catch {
            let warning = "maildir2mbox: warning: $MAILDIR/".utf8 + path + " will be delivered twice; unable to unlink: \(error.reason)\n".utf8
            writeAll(warning[...], to: 2)
        }
    }

    // MARK: - The mbox

    private static func write(_ entries: [Entry], _ mbox: borrowing FileDescriptor, _ places: Places) throws(Failure) {
        let temporary = try open("create", places.temporary, O_WRONLY | O_CREAT | O_TRUNC)
        var info = stat()
        // Whoever may read the old one may read the new one.
        if fstat(mbox.raw, &info) == 0 { fchmod(temporary.raw, info.st_mode & 0o777) }
        var output = Output(temporary.raw)
        var old = Input(mbox.raw)
        do throws(Input.Failure) { while let chunk = try old.chunk() { output.write(chunk) } } catch {
            throw Failure("read", places.mbox, SystemError(call: "read", subject: "", errno: error.errno))
        }
        for entry in entries { try append(entry, places.maildir, to: &output) }
        output.flush()
        guard !output.hasFailed, fsync(temporary.raw) == 0 else {
            throw Failure("write to", places.temporary, SystemError(call: "write", subject: "", errno: errno))
        }
    }

    private static func append(_ entry: Entry, _ maildir: [UInt8], to output: inout Output) throws(Failure) {
        let path = entry.path
        do throws(SystemError) {
            let message = try MessageContent(try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK))
            output.write("From ".utf8 + sender(message.head) + " \(MailDate(UInt64(max(0, entry.time))).fromLine)\n".utf8)
            var quoting = MboxQuoting()
            output.write(quoting.quote(message.head))
            try message.forEachChunkAfterHead { (chunk) throws(SystemError) in
                output.write(quoting.quote(chunk))
                return true
            }
            output.write(quoting.finish())
        } catch { throw Failure("read", maildir + [ASCII.slash] + path, error) }
    }

    /// As the Return-Path in the first line has it.
    private static func sender(_ message: [UInt8]) -> [UInt8] {
        let start = Array("Return-Path: <".utf8)
        let line = message.prefix { $0 != ASCII.lf }
        guard line.starts(with: start), line.last == ASCII.greater else { return Array("XXX".utf8) }
        let sender = line.dropFirst(start.count).dropLast()
        return sender.isEmpty ? Array("MAILER-DAEMON".utf8) : sender.map { $0.isBlank ? ASCII.hyphen : $0 }
    }
}
