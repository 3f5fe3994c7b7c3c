private import Addresses
private import Bytes
private import Dates
internal import Frames
private import Glibc
private import Posix

/// The environment of a user's programs (spec-qmail §7.5), made from a list of what may pass.
///
/// Addresses come from anyone who can send mail: control bytes in values become `_`, and no value may begin like a function of a shell
/// (hardening.md "SHELL").
struct DeliveryEnvironment {
    private(set) var variables: [[UInt8]] = []

    /// Of our own environment.
    private static let inherited = ["PATH", "QMAILHOME", "QMAILQUEUE"]

    init(_ request: WorkerRequest, _ lines: TraceLines, newSender: [UInt8], defaultExtension: ArraySlice<UInt8>?, now: UInt64) {
        for name in Self.inherited {
            if let value = getenv(name) { set(name, UnsafeRawBufferPointer(start: value, count: strlen(value))) }
        }
        set("USER", request.user)
        set("HOME", request.home)
        set("LOCAL", request.localPart)
        set("HOST", request.domain)
        set("RECIPIENT", request.localPart + [ASCII.at] + request.domain)
        set("SENDER", request.sender.bytes)
        set("NEWSENDER", newSender)
        setExtensions(request.ext)
        setHosts(request.domain)
        if let defaultExtension { set("DEFAULT", defaultExtension) }
        setLine("DTLINE", lines.deliveredTo)
        setLine("RPLINE", lines.returnPath)
        setLine("UFLINE", TraceLines.fromLine(request.sender, now: now))
    }

    /// EXT, then what follows its first, second and third hyphen.
    private mutating func setExtensions(_ ext: ArraySlice<UInt8>) {
        var rest = ext
        for name in ["EXT", "EXT2", "EXT3", "EXT4"] {
            set(name, rest)
            rest = rest.firstIndex(of: ASCII.hyphen).map { rest[($0 + 1)...] } ?? []
        }
    }

    /// HOST before its last, second-last and third-last dot.
    private mutating func setHosts(_ host: ArraySlice<UInt8>) {
        var rest = host
        for name in ["HOST2", "HOST3", "HOST4"] {
            rest = rest.lastIndex(of: ASCII.dot).map { rest[..<$0] } ?? rest
            set(name, rest)
        }
    }

    /// A whole line: its LF stays.
    private mutating func setLine(_ name: String, _ line: [UInt8]) {
        set(name, line.dropLast())
        variables[variables.count - 1].append(ASCII.lf)
    }

    private mutating func set(_ name: String, _ value: some Collection<UInt8>) { variables.append(ChildProgram.variable(name, value)) }
}
