private import Bytes
private import Glibc
private import Injection
private import Posix

/// qmail-start (qmail §2.1): what `rc` scripts end in. It goes on as martletd, whose log lines a logger reads, if one is given.
enum QmailStart {
    static let synopsis = "[ defaultdelivery [ logger arg ... ] ]"
    /// Read by the role that knows where mail of a user without `.qmail` goes; before `control/defaultdelivery`.
    private static let variable = "DEFAULTDELIVERY"
    /// Where neither an argument nor a control file says otherwise.
    private static let defaultDelivery = "./Mailbox"
    private static let loggerAccount = "qmaill"

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        umask(0o077)
        let home = QmailHome.find()
        guard chdir("/") == 0 else { return failed("chdir to /", errno) }
        if let given = call.arguments.first {
            guard (try? withPath(given) { setenv(variable, $0, 1) }) == 0 else { return failed("set \(variable)", errno) }
        } else if access("\(home)/control/defaultdelivery", F_OK) != 0 {
            setenv(variable, defaultDelivery, 1)
        } else {
            unsetenv(variable)
        }
        do throws(SystemError) {
            try connectLog(to: Array(call.arguments.dropFirst()))
        } catch {
            return fatal("qmail-start", "unable to run ".utf8 + call.arguments[1] + ": \(error.reason)".utf8, ExitCode.temporary)
        }
        let program = besideThisProgram("martletd")
        let error = Child.become([program, home].map { Array($0.utf8) })
        return failed("run \(program)", error.errno)
    }

    private static func failed(_ action: String, _ code: Int32) -> Int32 {
        fatal("qmail-start", "unable to \(action): \(errorText(code))", ExitCode.temporary)
    }

    /// Descriptor 2 becomes the logger's pipe; without a logger, our own descriptor 1.
    private static func connectLog(to logger: [[UInt8]]) throws(SystemError) {
        guard let name = logger.first else {
            dup2(1, 2)
            return
        }
        var ends: [Int32] = [-1, -1]
        try check("pipe") { pipe(&ends) }
        let reader = FileDescriptor(owning: ends[0])
        let writer = FileDescriptor(owning: ends[1])
        guard let path = find(name) else { throw SystemError(call: "run", subject: "", errno: ENOENT) }
        var program = ChildProgram(path: path, arguments: logger)
        if geteuid() == 0 { program.identity = try identity() }
        _ = try program.start([reader.raw, 1])
        dup2(writer.raw, 2)
    }

    /// Of the account for logs.
    private static func identity() throws(SystemError) -> ChildProgram.Identity {
        guard let account = getpwnam(loggerAccount) else { throw SystemError(call: "run", subject: "", errno: EPERM) }
        return (account.pointee.pw_uid, account.pointee.pw_gid, [account.pointee.pw_gid])
    }

    /// Through PATH, unless it names a place.
    private static func find(_ name: [UInt8]) -> [UInt8]? {
        if name.contains(ASCII.slash) { return name }
        let folders = Environment.process["PATH"] ?? Array("/usr/bin:/bin".utf8)
        return folders.split(separator: ASCII.colon).map { $0 + [ASCII.slash] + name }.first { path in
            (try? withPath(path) { access($0, X_OK) }) == 0
        }
    }

    private static func besideThisProgram(_ name: String) -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { readlink("/proc/self/exe", $0.assumingMemoryBound(to: CChar.self), bytes.count) } ?? 0
        }
        let path = buffer.prefix(max(0, count))
        return String(decoding: path[..<(path.lastIndex(of: ASCII.slash) ?? 0)], as: UTF8.self) + "/" + name
    }
}
