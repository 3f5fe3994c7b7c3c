private import Bytes
private import CPosix
private import Glibc

/// A command of somebody else's, started as who we are and waited for.
package struct ChildProgram {
    package let path: [UInt8]
    package let arguments: [[UInt8]]
    /// `NAME=value`; nothing else is inherited.
    package let environment: [[UInt8]]
    package let directory: [UInt8]
    /// In a session, and so a process group, of its own: then the whole group can be ended.
    package let hasOwnGroup: Bool

    package init(path: [UInt8], arguments: [[UInt8]], environment: [[UInt8]], directory: [UInt8], hasOwnGroup: Bool) {
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.hasOwnGroup = hasOwnGroup
    }

    /// Starts it with these descriptors as 0, 1, 2; every other is closed, signals have their defaults.
    /// - Returns: its pid.
    package func start(_ descriptors: [Int32]) throws(SystemError) -> Int32 {
        let texts = CStrings([path, directory])
        let arguments = CStrings(arguments)
        let environment = CStrings(environment)
        let pid = withExtendedLifetime((texts, arguments, environment)) {
            descriptors.withUnsafeBufferPointer { numbers in
                var program = martlet_program()
                program.path = UnsafePointer(texts.pointers[0])
                program.arguments = UnsafePointer(arguments.pointers)
                program.environment = UnsafePointer(environment.pointers)
                program.directory = UnsafePointer(texts.pointers[1])
                program.descriptors = numbers.baseAddress
                program.descriptor_count = numbers.count
                program.own_session = hasOwnGroup ? 1 : 0
                return martlet_spawn(&program)
            }
        }
        guard pid > 0 else { throw SystemError(call: "run", subject: "", errno: -pid) }
        return pid
    }

    private static let shellFunction = Array("() {".utf8)

    /// `NAME=value` with a value from outside: no control byte is in it, and nothing that an old shell would run as it starts (CVE-2014-6271).
    package static func variable(_ name: String, _ value: some Collection<UInt8>) -> [UInt8] {
        var safe = value.map { $0.isControl ? ASCII.underscore : $0 }
        if safe.starts(with: shellFunction) { safe[0] = ASCII.underscore }
        return Array("\(name)=".utf8) + safe
    }

    /// Whether it has ended. It stays to be waited for, so that its number stays its own.
    package static func hasEnded(_ pid: Int32) -> Bool {
        var info = siginfo_t()
        return waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_signo == SIGCHLD
    }

    /// Readable when it has ended.
    package static func watch(_ pid: Int32) throws(SystemError) -> FileDescriptor {
        FileDescriptor(owning: try check("pidfd_open") { martlet_watch_process(pid) })
    }

    /// Sends a signal to everything that runs in its group.
    package static func signal(_ number: Int32, group pid: Int32) { kill(-pid, number) }
}
