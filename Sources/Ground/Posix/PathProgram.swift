private import CPosix
private import Glibc

/// Starts a program, found through PATH, in our own surroundings: the same folder and descriptors, and what we ignore but SIGPIPE, of which a program
/// expects to die.
/// - Parameters:
///   - environment: `NAME=value`; nil: ours.
///   - descriptors: what it has under these numbers instead of ours.
/// - Returns: its pid.
package func startThroughPath(_ arguments: [[UInt8]], environment: [[UInt8]]? = nil, descriptors: [(number: Int32, ours: Int32)]) throws(SystemError)
    -> Int32
{
    let strings = CStrings(arguments)
    let environment = environment.map { CStrings($0) }
    guard let program = strings.pointers[0] else { throw SystemError(call: "run", subject: "", errno: EINVAL) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    for (number, ours) in descriptors { posix_spawn_file_actions_adddup2(&actions, ours, number) }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
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
        posix_spawnp(&pid, program, &actions, &attributes, strings.pointers, environment.map { UnsafePointer($0.pointers) } ?? martlet_environment())
    }
    guard failure == 0 else { throw SystemError(call: "run", subject: "", errno: failure) }
    return pid
}
