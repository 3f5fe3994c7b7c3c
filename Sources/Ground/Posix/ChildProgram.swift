private import Bytes
private import CPosix
private import Glibc

/// A program to start as a child (`martlet_spawn`): what it is, what it is given, as whom it runs.
package struct ChildProgram {
    package typealias Identity = (uid: UInt32, gid: UInt32, groups: [UInt32])

    package var path: [UInt8]
    /// With argv[0].
    package var arguments: [[UInt8]]
    /// `NAME=value`; nothing else is inherited. Nil: all that is ours.
    package var environment: [[UInt8]]?
    /// Nil: ours.
    package var directory: [UInt8]?
    /// In a session, and so a process group, of its own: then the whole group can be ended, and signals typed at a terminal do not reach it.
    package var hasOwnGroup: Bool
    /// Nil: as this process runs.
    package var identity: Identity?
    /// 0: as it is.
    package var descriptorLimit: UInt64 = 0
    /// Of its address space, in bytes; 0: as it is.
    package var memoryLimit: UInt64 = 0
    /// SIGHUP and SIGALRM do nothing until it says what they do.
    package var ignoresHangup = false
    /// Sent to it when this process, which must have one thread, dies; 0 for none. For a program that stays who this process is: others would lose it.
    package var parentDeathSignal: Int32 = 0

    package init(
        path: [UInt8], arguments: [[UInt8]], environment: [[UInt8]]? = nil, directory: [UInt8]? = nil, hasOwnGroup: Bool = false
    ) {
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        self.hasOwnGroup = hasOwnGroup
    }

    /// Starts it with these descriptors as 0, 1, 2 …; every other is closed, signals have their defaults.
    /// - Returns: its pid.
    package func start(_ descriptors: [Int32]) throws(SystemError) -> Int32 {
        let texts = CStrings([path] + (directory.map { [$0] } ?? []))
        let arguments = CStrings(arguments)
        let environment = environment.map { CStrings($0) }
        var program = martlet_program()
        program.path = UnsafePointer(texts.pointers[0])
        program.arguments = UnsafePointer(arguments.pointers)
        program.environment = environment.map { UnsafePointer($0.pointers) } ?? martlet_environment()
        // NULL when there is none.
        program.directory = UnsafePointer(texts.pointers[1])
        program.own_session = hasOwnGroup ? 1 : 0
        (program.descriptor_limit, program.memory_limit) = (descriptorLimit, memoryLimit)
        program.ignore_hangup = ignoresHangup ? 1 : 0
        program.parent_death_signal = parentDeathSignal
        if let identity {
            program.change_identity = 1
            (program.uid, program.gid) = (identity.uid, identity.gid)
        }
        let pid = withExtendedLifetime((texts, arguments, environment)) { spawn(&program, descriptors) }
        guard pid > 0 else { throw SystemError(call: "run", subject: path.text, errno: -pid) }
        return pid
    }

    private func spawn(_ program: inout martlet_program, _ descriptors: [Int32]) -> Int32 {
        descriptors.withUnsafeBufferPointer { descriptors in
            (identity?.groups ?? []).withUnsafeBufferPointer { groups in
                (program.descriptors, program.descriptor_count) = (descriptors.baseAddress, descriptors.count)
                (program.groups, program.group_count) = (groups.baseAddress, groups.count)
                return martlet_spawn(&program)
            }
        }
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
