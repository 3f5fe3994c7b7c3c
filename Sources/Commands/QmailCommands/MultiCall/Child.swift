private import Glibc
internal import Posix

/// A program that an applet runs in its own surroundings: the same folder, environment and descriptors, found through PATH.
enum Child {
    /// - Parameter descriptors: what it has under these numbers instead of ours.
    /// - Returns: its pid.
    static func start(_ arguments: [[UInt8]], descriptors: [Int32: Int32] = [:]) throws(SystemError) -> Int32 {
        let pairs = descriptors.map { (number: $0.key, ours: $0.value) }
        do throws(SystemError) { return try startThroughPath(arguments, descriptors: pairs) } catch {
            // A script without `#!` is the shell's, as for every program that searches PATH.
            guard error.errno == ENOEXEC else { throw error }
            return try startThroughPath([Array("/bin/sh".utf8)] + arguments, descriptors: pairs)
        }
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
