/// What the supervisor gives a role at its start. The working directory is the qmail home already.
///
/// Module `RoleContext` is all that supervisor and roles share; it must not know what any role does.
package struct RoleContext: Sendable {
    /// `queue`, `smtpd` … as in the table of processes.
    package let role: String
    /// Which of several workers of the role this is, from 0.
    package let worker: Int
    /// How many workers the role has: what is limited for all of them is shared out.
    package let workers: Int
    /// Listening sockets, in the order they were given; the name is a ``Boundary``'s, or as ``name(_:_:)`` makes it.
    package let sockets: [(name: String, descriptor: Int32)]
    package let accounts: Accounts

    package init(role: String, worker: Int, workers: Int = 1, sockets: [(name: String, descriptor: Int32)], accounts: Accounts) {
        self.role = role
        self.worker = worker
        self.workers = workers
        self.sockets = sockets
        self.accounts = accounts
    }

    /// The name of a door's socket: `smtp=127.0.0.1:25`.
    package static func name(_ door: Door, _ line: String) -> String { "\(door.rawValue)=\(line)" }

    /// The sockets of doors.
    package var doors: [(door: Door, descriptor: Int32)] {
        sockets.compactMap { name, descriptor in
            guard let end = name.firstIndex(of: "="), let door = Door(rawValue: String(name[..<end])) else { return nil }
            return (door, descriptor)
        }
    }

    /// The listening socket of that name; the role owns it now.
    package func socket(_ name: String) -> Int32? { sockets.first { $0.name == name }?.descriptor }
}
