private import ControlFiles
private import Glibc
private import Posix

/// The sockets of `control/smtplisten`.
struct MailSockets {
    private(set) var sockets: [MailSocket] = []

    var shown: String { sockets.map(\.shown).joined(separator: ", ") }

    init(isPrivileged: Bool) throws(StartFailure) {
        if let lines = try Self.lines() {
            for (name, address) in lines { sockets.append(try Self.bind(name, address)) }
            return
        }
        for name in ListenAddress.defaults(isPrivileged: isPrivileged) {
            guard let address = ListenAddress(Array(name.utf8)) else { continue }
            do { sockets.append(try MailSocket(name, address)) } catch {
                // A host without IPv6 is no mistake of anybody's.
                if error.errno == EAFNOSUPPORT || error.errno == EADDRNOTAVAIL { continue }
                throw Self.failure(name, error)
            }
        }
    }

    private static func lines() throws(StartFailure) -> [(name: String, address: ListenAddress)]? {
        do {
            return try ListenAddress.read(ControlDirectory())
        } catch {
            throw StartFailure("\(error)", mend: "then start martletd again")
        }
    }

    private static func bind(_ name: String, _ address: ListenAddress) throws(StartFailure) -> MailSocket {
        do { return try MailSocket(name, address) } catch { throw failure(name, error) }
    }

    private static func failure(_ name: String, _ error: SystemError) -> StartFailure {
        let mend =
            switch error.errno {
            case EADDRINUSE: "stop what listens there (ss -lntp shows it), or change control/smtplisten"
            case EACCES where !name.hasPrefix("unix:"): "ports below 1024 are root's: choose a higher one in control/smtplisten"
            case EADDRNOTAVAIL: "this host has no such address: change control/smtplisten"
            default: "change control/smtplisten"
            }
        return StartFailure("cannot listen on \(name): \(error.reason)", mend: mend)
    }
}
