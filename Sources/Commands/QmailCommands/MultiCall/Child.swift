private import CPosix
private import Glibc
internal import Posix

/// A program that an applet runs in its own surroundings: the same folder, environment and descriptors, found through PATH.
enum Child {
    /// - Parameter descriptors: what it has under these numbers instead of ours.
    /// - Returns: its pid.
    static func start(_ arguments: [[UInt8]], descriptors: [Int32: Int32] = [:]) throws(SystemError) -> Int32 {
        var pid: Int32 = 0
        var failure = spawn(arguments, descriptors, &pid)
        // A script without `#!` is the shell's, as for every program that searches PATH.
        if failure == ENOEXEC { failure = spawn([Array("/bin/sh".utf8)] + arguments, descriptors, &pid) }
        guard failure == 0 else { throw SystemError(call: "run", subject: "", errno: failure) }
        return pid
    }

    private static func spawn(_ arguments: [[UInt8]], _ descriptors: [Int32: Int32], _ pid: inout Int32) -> Int32 {
        let strings = CStrings(arguments)
        guard let program = strings.pointers[0] else { return EINVAL }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        for (number, ours) in descriptors { posix_spawn_file_actions_adddup2(&actions, ours, number) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        // We may ignore it; a program expects to die of it.
        var defaults = sigset_t()
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        return withExtendedLifetime(strings) { posix_spawnp(&pid, program, &actions, &attributes, strings.pointers, martlet_environment()) }
    }

    /// Goes on as that program.
    /// - Returns: why it does not.
    static func become(_ arguments: [[UInt8]]) -> SystemError {
        let strings = CStrings(arguments)
        guard let program = strings.pointers[0] else { return SystemError(call: "run", subject: "", errno: EINVAL) }
        _ = withExtendedLifetime(strings) { execvp(program, strings.pointers) }
        return SystemError(call: "run", subject: "", errno: errno)
    }
}
