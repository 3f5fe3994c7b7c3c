private import Addresses
private import Bytes
private import Glibc
private import Posix

/// tcp-env (spec-qmail §12.2): sets the variables of a TCP connection on descriptor 0, then becomes the program; for inetd and its like.
/// Any failure is 111, without a word: the other end of descriptor 2 may be the client.
enum TcpEnv {
    private static let standardIdentSeconds: UInt64 = 30
    private static let maxIdentSeconds: UInt64 = 86_400

    static func run(_ call: Invocation) -> Int32 {
        guard let options = try? Options(call.arguments, accepting: "rRt:"), !options.rest.isEmpty else { return ExitCode.temporary }
        if call.environment["PROTO"] != Array("TCP".utf8) {
            guard setVariables(options) else { return ExitCode.temporary }
        }
        _ = Child.become(options.rest)
        return ExitCode.temporary
    }

    private static func setVariables(_ options: Options) -> Bool {
        guard let local = Endpoint.local(of: 0), let remote = Endpoint.remote(of: 0) else { return false }
        var seconds = standardIdentSeconds
        var asksIdent = true
        for option in options.options {
            switch option.letter {
            case "r": asksIdent = true
            case "R": asksIdent = false
            default: seconds = min(parseLeadingDecimal(option.value) ?? seconds, maxIdentSeconds)
            }
        }
        set("PROTO", "TCP")
        set("TCPLOCALIP", local.address.description)
        set("TCPLOCALPORT", String(local.port))
        set("TCPLOCALHOST", local.hostName())
        set("TCPREMOTEIP", remote.address.description)
        set("TCPREMOTEPORT", String(remote.port))
        set("TCPREMOTEHOST", remote.hostName())
        set("TCPREMOTEINFO", bytes: asksIdent ? Ident.user(of: remote, at: local, seconds: seconds) : nil)
        return true
    }

    private static func set(_ name: String, _ value: String?) { set(name, bytes: value.map { Array($0.utf8) }) }

    private static func set(_ name: String, bytes value: [UInt8]?) {
        guard let value, (try? withPath(value) { setenv(name, $0, 1) }) == 0 else {
            unsetenv(name)
            return
        }
    }
}
