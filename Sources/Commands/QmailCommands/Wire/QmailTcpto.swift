private import Bytes
private import Glibc
private import Injection
private import Posix
private import RemoteDelivery

/// qmail-tcpto and qmail-tcpok (spec-qmail §4.4): what those who connect remember of addresses that did not answer, and how to make them forget.
enum QmailTcpto {
    /// What comes first also when it fails, on descriptor 1 and without the program's name, as scripts know it.
    static func run(_: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        var output = Output(1)
        do throws(SystemError) {
            try QmailHome.enter()
            let file = try FileDescriptor.open(TimeoutFile.path, O_RDONLY | O_NONBLOCK)
            let now = unixTime()
            for entry in try TimeoutFile.read(file).entries {
                let age = now >= entry.time ? "\(now - entry.time)" : "-\(entry.time - now)"
                output.write("\(entry.address) timed out \(age) seconds ago; # recent timeouts: \(entry.count)\n")
            }
        } catch {
            let what = error.call == "open" ? "open tcpto" : error.call == "read" ? "read tcpto" : "chdir"
            output.write("fatal: unable to \(what): \(error.reason)\n")
            output.flush()
            return ExitCode.temporary
        }
        output.flush()
        return output.hasFailed ? ExitCode.temporary : ExitCode.ok
    }

    /// Zeroes the file: nothing is known of any address.
    static func clear(_: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        let home = QmailHome.find()
        do throws(SystemError) { try QmailHome.enter() } catch { return complain("chdir to \(home)", error) }
        let place = "\(home)/\(TimeoutFile.path)"
        do throws(SystemError) {
            let file = try FileDescriptor.open(TimeoutFile.path, O_WRONLY | O_NONBLOCK)
            let raw = file.raw
            try lock(raw)
            let zeros = TimeoutTable().bytes
            try check("clear") { zeros.withUnsafeBytes { pwrite(raw, $0.baseAddress, $0.count, 0) } }
            return ExitCode.ok
        } catch {
            return complain("\(error.call == "open" ? "write" : error.call) \(place)", error)
        }
    }

    /// Everybody may read the file, so anybody may hold its lock: nobody is waited for long.
    private static let lockTries = 50
    private static let pauseMicroseconds: UInt32 = 100_000

    private static func lock(_ raw: Int32) throws(SystemError) {
        for _ in 1..<lockTries {
            if flock(raw, LOCK_EX | LOCK_NB) == 0 { return }
            usleep(pauseMicroseconds)
        }
        try check("lock") { flock(raw, LOCK_EX | LOCK_NB) }
    }

    private static func complain(_ what: String, _ error: SystemError) -> Int32 {
        fatal("qmail-tcpok", "unable to \(what): \(error.reason)", ExitCode.temporary)
    }
}
