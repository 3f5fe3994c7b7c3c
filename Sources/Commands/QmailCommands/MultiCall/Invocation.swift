private import Posix

/// How an applet was called.
package struct Invocation: Sendable {
    /// The last part of argv[0]; begins the message about an illegal option.
    package var programName: [UInt8]
    /// Without the program's name. Bytes, since names and addresses need not be UTF-8.
    package var arguments: [[UInt8]]
    package var environment: Environment

    package init(programName: [UInt8], arguments: [[UInt8]], environment: Environment) {
        self.programName = programName
        self.arguments = arguments
        self.environment = environment
    }

    static func ofProcess() -> Invocation {
        var arguments = ProcessStrings.arguments
        let path = arguments.isEmpty ? [] : arguments.removeFirst()
        return Invocation(programName: baseName(path), arguments: arguments, environment: .process)
    }

    static func baseName(_ path: [UInt8]) -> [UInt8] {
        let slash = path.lastIndex(of: UInt8(ascii: "/"))
        return slash.map { Array(path[($0 + 1)...]) } ?? path
    }
}
