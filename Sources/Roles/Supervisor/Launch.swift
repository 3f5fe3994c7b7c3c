private import CPosix
internal import Glibc
internal import Posix

/// One program to start as a child (`martlet_spawn`): what it is, what it is given, as whom it runs.
struct Launch {
    var path: String
    /// With argv[0].
    var arguments: [String]
    /// `NAME=value`
    var environment: [String]
    /// Becomes 0, 1, 2 … in the child.
    var descriptors: [Int32]
    /// Nil: as this process runs.
    var identity: (uid: UInt32, gid: UInt32, groups: [UInt32])?
    var descriptorLimit: UInt64
    /// Of its address space, in bytes.
    var memoryLimit: UInt64
    /// Sent to the child when the supervisor dies; 0 for none. For a program that stays who the supervisor is: others would lose it.
    var parentDeathSignal: Int32 = 0

    /// - Returns: the child's process number.
    func start() throws(SystemError) -> Int32 {
        let result = withCStrings(arguments) { arguments in
            withCStrings(environment) { environment in
                path.withCString { path in
                    var program = martlet_program()
                    program.path = path
                    program.arguments = arguments
                    program.environment = environment
                    program.descriptor_limit = descriptorLimit
                    program.memory_limit = memoryLimit
                    // The supervisor passes them on to all; one that is still starting is not ended by them.
                    program.ignore_hangup = 1
                    program.own_session = 1
                    program.parent_death_signal = parentDeathSignal
                    program.change_identity = identity == nil ? 0 : 1
                    program.uid = identity?.uid ?? 0
                    program.gid = identity?.gid ?? 0
                    return spawn(&program, identity?.groups ?? [])
                }
            }
        }
        guard result > 0 else { throw SystemError(call: "start", subject: path, errno: -result) }
        return result
    }

    private func spawn(_ program: inout martlet_program, _ groups: [UInt32]) -> Int32 {
        descriptors.withUnsafeBufferPointer { descriptors in
            groups.withUnsafeBufferPointer { groups in
                program.descriptors = descriptors.baseAddress
                program.descriptor_count = descriptors.count
                program.groups = groups.baseAddress
                program.group_count = groups.count
                return martlet_spawn(&program)
            }
        }
    }

    /// This process's environment with `changes` put in; a nil value takes the name out.
    static func environment(changing changes: [String: String?]) -> [String] {
        var result: [String] = []
        var next = martlet_environment()
        while let variables = next, let variable = variables.pointee {
            let text = String(cString: variable)
            if changes.keys.allSatisfy({ !text.hasPrefix($0 + "=") }) { result.append(text) }
            next = variables.advanced(by: 1)
        }
        return result + changes.sorted { $0.key < $1.key }.compactMap { name, value in value.map { "\(name)=\($0)" } }
    }
}

private func withCStrings<Result>(_ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result) -> Result {
    let copies = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return (copies + [nil]).withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("a list with its end is never empty") }
        return body(base)
    }
}
