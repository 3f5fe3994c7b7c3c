private import Glibc
private import Manuals
private import NIOCore
private import NIOPosix
private import Posix
private import Reception
private import ServerTLS

/// `martlet-tls [ -s ] [ -c CERTIFICATE -k KEY ] PROGRAM [ ARGUMENTS ]`: TLS on a connection that tcpserver, inetd or a socket of systemd has put on
/// descriptors 0 and 1, in front of a program that knows nothing of it; with `-s` only once that program asks (UCSPI-TLS).
///
/// The program is a child and sees one end of a socket pair; this process stays between it and the client, and ends as it does.
enum MartletTLS {
    private static let usage: Int32 = 100
    private static let trouble: Int32 = 111
    /// How long the client has for what the program said last.
    private static let lastSeconds: Int64 = 60

    static func run() -> Int32 {
        let arguments = ProcessStrings.arguments
        if let answer = manual.answer(to: arguments.dropFirst()) {
            print(answer, terminator: "")
            return 0
        }
        guard let call = Call(arguments) else {
            log("martlet-tls: usage: martlet-tls \(manual.synopsis)")
            return usage
        }
        signal(SIGPIPE, SIG_IGN)
        do {
            return call.isOnRequest ? try serveOnRequest(call) : try serveAtOnce(call)
        } catch {
            log("martlet-tls: fatal: \(error)")
            return trouble
        }
    }

    // MARK: TLS first

    private static func serveAtOnce(_ call: Call) throws -> Int32 {
        let here = try Posix.FileDescriptor.open(".", O_RDONLY | O_DIRECTORY)
        let connection = try Connection(call)
        guard let details = try connection.encrypt(0) else {
            log("martlet-tls: the TLS handshake failed")
            return trouble
        }
        // What needs the mail system's home is done.
        try check("chdir", ".") { fchdir(here.raw) }
        let inside = try socketPair()
        let pid = try call.program.start([0: inside.theirs, 1: inside.theirs], variables: details.variables)
        close(inside.theirs)
        try connection.join(inside.ours)
        return try end(pid, connection)
    }

    // MARK: TLS on request

    /// What is told to the program in SSLCTLFD, SSLREADFD and SSLWRITEFD: beyond the numbers that login programs use.
    private static let controlNumber: Int32 = 11
    private static let readNumber: Int32 = 12
    private static let writeNumber: Int32 = 13

    private static func serveOnRequest(_ call: Call) throws -> Int32 {
        try call.requireFiles()
        let control = try socketPair()
        let inside = try socketPair()
        let numbers = [("SSLCTLFD", controlNumber), ("SSLREADFD", readNumber), ("SSLWRITEFD", writeNumber)].map { ($0, Array(String($1).utf8)) }
        let pid = try call.program.start(
            [controlNumber: control.theirs, readNumber: inside.theirs, writeNumber: inside.theirs], variables: [("UCSPITLS", [])] + numbers)
        close(control.theirs)
        close(inside.theirs)
        var request: UInt8 = 0
        let count = try check("read") { read(control.ours, &request, 1) }
        guard count == 1, request == plainRequest || request == fullRequest else { return try exitCode(of: pid) }
        let connection = try Connection(call)
        guard let details = try connection.encrypt(0) else {
            // The program learns by the ends of both that there is no TLS.
            close(control.ours)
            close(inside.ours)
            return try exitCode(of: pid)
        }
        try connection.join(inside.ours)
        if request == fullRequest { tell(details, control.ours) }
        return try end(pid, connection)
    }

    private static let plainRequest = UInt8(ascii: "y")
    private static let fullRequest = UInt8(ascii: "Y")

    /// Variables with a NUL behind each, and another at the end.
    private static func tell(_ details: TLSDetails, _ descriptor: Int32) {
        var answer: [UInt8] = []
        for (name, value) in details.variables { answer += "\(name)=".utf8 + value + [0] }
        answer.append(0)
        // The program may have lost its interest; what it says within TLS counts all the same.
        _ = answer.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }

    // MARK: The end

    private static func end(_ pid: Int32, _ connection: Connection) throws -> Int32 {
        let code = try exitCode(of: pid)
        connection.drain(.seconds(lastSeconds))
        return code
    }

    private static func exitCode(of pid: Int32) throws(Posix.SystemError) -> Int32 {
        switch try ChildEnd(of: pid) {
        case .exited(let code): code
        case .killed: trouble
        }
    }

    /// Both ends close on exec; the program gets a copy of the second.
    private static func socketPair() throws(Posix.SystemError) -> (ours: Int32, theirs: Int32) {
        var ends: [Int32] = [-1, -1]
        try check("socketpair") { socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) }
        return (ends[0], ends[1])
    }
}
