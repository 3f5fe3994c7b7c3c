import CPosix
import Glibc
import Posix

/// Runs the built `qmail` program, as a hostile or an honest caller would.
enum QmailRun {
    struct Result: Equatable {
        var code: Int32
        var output: String = ""
    }

    /// Beside the bundle of the tests.
    static let program: String? = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard count > 0 else { return nil }
        var candidates = CommandLine.arguments.map { $0 }
        candidates.append(String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self))
        for candidate in candidates {
            guard let slash = candidate.utf8.lastIndex(of: UInt8(ascii: "/")) else { continue }
            let path = "\(candidate[..<slash])/qmail"
            if access(path, X_OK) == 0 { return path }
        }
        return nil
    }()

    /// - Parameters:
    ///   - input: on descriptor 0; nil = an open descriptor that cannot be read.
    ///   - envelope: on descriptor 1; nil = what is written there is the result's `output`.
    static func run(
        _ arguments: [String], input: [UInt8]?, envelope: [UInt8]? = nil, environment: [String: String], memoryLimit: UInt64 = 0,
        descriptorLimit: UInt64 = 0
    ) throws -> Result {
        guard let program else { throw SystemError(call: "find", subject: "qmail", errno: ENOENT) }
        let source = try input.map { try file($0) } ?? check("open") { open("/dev/null", O_WRONLY) }
        let second = try file(envelope ?? [])
        let errors = try file([])
        defer { for descriptor in [source, second, errors] { close(descriptor) } }
        var argumentPointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var environmentPointers: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for pointer in argumentPointers + environmentPointers { free(pointer) } }
        let descriptors = [source, second, errors]
        let pid = program.withCString { path in
            argumentPointers.withUnsafeMutableBufferPointer { arguments in
                environmentPointers.withUnsafeMutableBufferPointer { environment in
                    descriptors.withUnsafeBufferPointer { descriptors in
                        var start = martlet_program()
                        start.path = path
                        start.arguments = UnsafePointer(arguments.baseAddress)
                        start.environment = UnsafePointer(environment.baseAddress)
                        start.descriptors = descriptors.baseAddress
                        start.descriptor_count = descriptors.count
                        start.memory_limit = memoryLimit
                        start.descriptor_limit = descriptorLimit
                        return martlet_spawn(&start)
                    }
                }
            }
        }
        guard pid > 0 else { throw SystemError(call: "spawn", subject: program, errno: -pid) }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let text = envelope == nil ? try contents(second) : []
        return Result(
            code: status & 0x7F == 0 ? status >> 8 & 0xFF : -(status & 0x7F), output: String(decoding: text + (try contents(errors)), as: UTF8.self))
    }

    private static func file(_ bytes: [UInt8]) throws -> Int32 {
        let descriptor = try check("memfd") { martlet_memory_file("test") }
        var left = bytes[...]
        while !left.isEmpty { left = left.dropFirst(try check("write") { left.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) } }) }
        lseek(descriptor, 0, SEEK_SET)
        return descriptor
    }

    private static func contents(_ descriptor: Int32) throws -> [UInt8] {
        lseek(descriptor, 0, SEEK_SET)
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        let count = try check("read") { buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) } }
        return Array(buffer[..<count])
    }
}
