private import ControlFiles
private import Glibc
private import Posix
internal import RoleContext

/// The sockets of all doors.
struct DoorSockets {
    private(set) var sockets: [DoorSocket] = []

    /// `smtp on 127.0.0.1:2525, pop3 on …`; of several sockets of a door each is told.
    var shown: String { sockets.map { "\($0.door.rawValue) on \($0.shown)" }.joined(separator: ", ") }

    init(isPrivileged: Bool) throws(StartFailure) {
        for door in Door.allCases {
            if let lines = try Self.lines(door) {
                for (name, address) in lines { sockets.append(try Self.bind(door, name, address)) }
            } else if door == .smtp {
                try bindDefaults(isPrivileged: isPrivileged)
            }
        }
    }

    /// Only SMTP is served by default.
    private mutating func bindDefaults(isPrivileged: Bool) throws(StartFailure) {
        for name in ListenAddress.defaults(isPrivileged: isPrivileged) {
            guard let address = ListenAddress(Array(name.utf8)) else { continue }
            do { sockets.append(try DoorSocket(.smtp, name, address)) } catch {
                // A host without IPv6 is no mistake of anybody's.
                if error.errno == EAFNOSUPPORT || error.errno == EADDRNOTAVAIL { continue }
                throw Self.failure(.smtp, name, error)
            }
        }
    }

    private static func lines(_ door: Door) throws(StartFailure) -> [(name: String, address: ListenAddress)]? {
        do {
            return try ListenAddress.read(ControlDirectory(), door.file)
        } catch {
            throw StartFailure("\(error)", mend: "then start martletd again")
        }
    }

    private static func bind(_ door: Door, _ name: String, _ address: ListenAddress) throws(StartFailure) -> DoorSocket {
        do { return try DoorSocket(door, name, address) } catch { throw failure(door, name, error) }
    }

    private static func failure(_ door: Door, _ name: String, _ error: SystemError) -> StartFailure {
        let mend =
            switch error.errno {
            case EADDRINUSE: "stop what listens there (ss -lntp shows it), or change control/\(door.file)"
            case EACCES where !name.hasPrefix("unix:"): "ports below 1024 are root's: choose a higher one in control/\(door.file)"
            case EADDRNOTAVAIL: "this host has no such address: change control/\(door.file)"
            default: "change control/\(door.file)"
            }
        return StartFailure("cannot listen on \(name): \(error.reason)", mend: mend)
    }
}
