private import CPosix
private import Glibc
internal import Posix

/// A user's command, started for a delivery and waited for.
struct ChildProgram {
    let path: [UInt8]
    let arguments: [[UInt8]]
    /// `NAME=value`; nothing else is inherited.
    let environment: [[UInt8]]
    let directory: [UInt8]
    /// In a session, and so a process group, of its own: then the whole group can be ended.
    let hasOwnGroup: Bool

    /// Starts it with these descriptors as 0, 1, 2; every other is closed, signals have their defaults.
    /// - Returns: its pid.
    func start(_ descriptors: [Int32]) throws(SystemError) -> Int32 {
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

    /// Whether it has ended. It stays to be waited for, so that its number stays its own.
    static func hasEnded(_ pid: Int32) -> Bool {
        var info = siginfo_t()
        return waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_signo == SIGCHLD
    }

    /// Sends a signal to everything that runs in its group.
    static func signal(_ number: Int32, group pid: Int32) { kill(-pid, number) }
}
