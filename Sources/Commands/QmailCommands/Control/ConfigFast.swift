private import Bytes
private import ControlFiles
private import Glibc
private import Injection
private import Posix

/// config-fast (qmail §5.2): the control files of a host whose name is known.
enum ConfigFast {
    static let synopsis = "host"

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        guard call.arguments.count == 1, let host = call.arguments.first, isName(host) else {
            return usage("config-fast", "config-fast " + synopsis)
        }
        do throws(SystemError) {
            try QmailHome.enter()
            umask(0o033)
            let labels = host.split(separator: ASCII.dot)
            try write("me", host)
            try write("defaultdomain", Array(labels.dropFirst().joined(separator: [ASCII.dot])))
            try write("plusdomain", Array(labels.suffix(2).joined(separator: [ASCII.dot])))
            for list in ["locals", "rcpthosts"] { try add(host, to: list) }
            return ExitCode.ok
        } catch {
            return fatal("config-fast", "\(error)", ExitCode.temporary)
        }
    }

    /// At least two labels: without a domain it is no name that other hosts know.
    private static func isName(_ host: [UInt8]) -> Bool {
        let labels = host.split(separator: ASCII.dot, omittingEmptySubsequences: false)
        return labels.count >= 2 && labels.allSatisfy { !$0.isEmpty && $0.allSatisfy { $0.isGraphic } }
    }

    private static func write(_ name: String, _ line: [UInt8]) throws(SystemError) {
        try put(line + [ASCII.lf], "control/\(name)", O_TRUNC)
        writeAll(Array("Putting \(line.text) into control/\(name)...\n".utf8)[...], to: 1)
    }

    /// Once: a second run changes nothing.
    private static func add(_ host: [UInt8], to name: String) throws(SystemError) {
        if let there = try ControlDirectory().list(name), there.contains(where: { $0.equalsIgnoringCase(host) }) { return }
        let endsInLF = (try ControlDirectory().bytes(name)).map { $0.isEmpty || $0.last == ASCII.lf } ?? true
        try put((endsInLF ? [] : [ASCII.lf]) + host + [ASCII.lf], "control/\(name)", O_APPEND)
        writeAll(Array("Putting \(host.text) into control/\(name)...\n".utf8)[...], to: 1)
    }

    private static func put(_ bytes: [UInt8], _ path: String, _ flag: Int32) throws(SystemError) {
        let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | flag, mode: 0o644)
        guard writeAll(bytes[...], to: file.raw), fsync(file.raw) == 0 else { throw SystemError(call: "write", subject: path, errno: errno) }
    }
}
