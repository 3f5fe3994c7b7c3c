private import Boundaries
private import Glibc
internal import Posix

/// What the command line and the environment ask for.
struct Call {
    var isOnRequest = false
    /// `-c`, else CERTFILE; without it the certificates of the mail system in QMAILHOME.
    var certificateFile: String?
    /// `-k`, else KEYFILE.
    var keyFile: String?
    let program: Program

    /// - Parameter arguments: with the program's own name in front. Nil for wrong usage.
    init?(_ arguments: [[UInt8]]) {
        var rest = arguments.dropFirst()
        certificateFile = Call.variable("CERTFILE")
        keyFile = Call.variable("KEYFILE")
        options: while let option = rest.first, option.first == UInt8(ascii: "-") {
            rest.removeFirst()
            switch String(decoding: option, as: UTF8.self) {
            case "-s": isOnRequest = true
            case "-c":
                guard let value = rest.popFirst() else { return nil }
                certificateFile = String(decoding: value, as: UTF8.self)
            case "-k":
                guard let value = rest.popFirst() else { return nil }
                keyFile = String(decoding: value, as: UTF8.self)
            case "--": break options
            default: return nil
            }
        }
        guard !rest.isEmpty, (certificateFile == nil) == (keyFile == nil) else { return nil }
        program = Program(arguments: Array(rest))
    }

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// What a handshake needs: better missed before anything is offered.
    func requireFiles() throws(SystemError) {
        if let certificateFile, let keyFile {
            for file in [certificateFile, keyFile] { try check("open", file) { access(file, R_OK) } }
        } else {
            let socket = "\(Call.home)/\(Boundary.keys.path)"
            try check("connect", socket) { access(socket, W_OK) }
        }
    }

    /// The folder of the mail system.
    static var home: String { variable("QMAILHOME") ?? "/var/qmail" }
}
