private import Bytes
private import CPosix
private import Glibc
internal import Posix

/// The program behind TLS, found through PATH.
struct Program {
    let arguments: [[UInt8]]

    /// - Parameters:
    ///   - descriptors: what it has under which number; 2 and what else it inherits stays.
    ///   - variables: take the place of all that speak of TLS in our own environment.
    /// - Returns: its pid.
    func start(_ descriptors: KeyValuePairs<Int32, Int32>, variables: [(name: String, value: [UInt8])]) throws(SystemError) -> Int32 {
        let strings = CStrings(arguments)
        let environment = CStrings(Program.environment + variables.map { Array("\($0)=".utf8) + $1 })
        guard let program = strings.pointers[0] else { throw SystemError(call: "run", subject: "", errno: EINVAL) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        for (number, ours) in descriptors { posix_spawn_file_actions_adddup2(&actions, ours, number) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        // We ignore it; a program expects to die of it.
        var defaults = sigset_t()
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        var pid: Int32 = 0
        let failure = withExtendedLifetime((strings, environment)) {
            posix_spawnp(&pid, program, &actions, &attributes, strings.pointers, environment.pointers)
        }
        guard failure == 0 else { throw SystemError(call: "run", subject: arguments.first?.text ?? "", errno: failure) }
        return pid
    }

    /// Nobody but us says here whether there is TLS.
    private static var environment: [[UInt8]] {
        var result: [[UInt8]] = []
        var next = martlet_environment()
        while let variables = next, let variable = variables.pointee {
            let text = Array(UnsafeRawBufferPointer(start: variable, count: strlen(variable)))
            if !["SSL_", "TLS_", "SSLCTLFD=", "SSLREADFD=", "SSLWRITEFD="].contains(where: { text.starts(with: $0.utf8) }) { result.append(text) }
            next = variables.advanced(by: 1)
        }
        return result
    }
}
