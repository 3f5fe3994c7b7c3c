private import CPosix
private import Glibc
internal import Posix

/// A program that a delivery runs and waits for: a user's command, or qmail-queue.
struct ChildProgram {
    let path: [UInt8]
    let arguments: [[UInt8]]
    /// `NAME=value`; nothing else is inherited.
    let environment: [[UInt8]]
    let directory: [UInt8]

    enum End: Equatable {
        case exited(Int32)
        case killed
    }

    /// Starts it with these descriptors as 0, 1, 2; every other is closed, signals have their defaults.
    /// - Returns: its pid.
    func start(_ descriptors: [Int32]) throws(SystemError) -> Int32 {
        let path = CStrings([path])
        let arguments = CStrings(arguments)
        let environment = CStrings(environment)
        let directory = CStrings([directory])
        let pid = descriptors.withUnsafeBufferPointer { numbers in
            var program = martlet_program()
            program.path = UnsafePointer(path.pointers[0])
            program.arguments = UnsafePointer(arguments.pointers)
            program.environment = UnsafePointer(environment.pointers)
            program.directory = UnsafePointer(directory.pointers[0])
            program.descriptors = numbers.baseAddress
            program.descriptor_count = numbers.count
            return martlet_spawn(&program)
        }
        guard pid > 0 else { throw SystemError(call: "run", subject: "", errno: -pid) }
        return pid
    }

    static func wait(_ pid: Int32) throws(SystemError) -> End {
        var status: Int32 = 0
        try check("wait") { waitpid(pid, &status, 0) }
        // As WIFEXITED and WEXITSTATUS have it.
        return status & 0x7F == 0 ? .exited((status >> 8) & 0xFF) : .killed
    }
}
