internal import Boundaries
internal import Glibc
internal import Posix
internal import RoleContext

/// The sockets between processes, bound for the life of the supervisor: a role that is being restarted finds its callers waiting.
struct BoundarySockets {
    private var descriptors: [Boundary: Int32] = [:]
    private var groups: [Boundary: gid_t] = [:]

    /// Makes each directory with the mode that lets only the permitted peers in, then the socket in it.
    init(_ accounts: Accounts) throws(StartFailure) {
        for boundary in Boundary.allCases {
            try prepareDirectory(boundary, accounts)
            descriptors[boundary] = try orMend("stop what holds it, or look into run/") { () throws(SystemError) in try boundary.listen().release() }
        }
    }

    func descriptor(_ boundary: Boundary) -> Int32? { descriptors[boundary] }

    /// The groups that let a role in where it asks; none in an unprivileged install.
    func groups(for plan: RolePlan) -> [gid_t] { plan.asks.compactMap { groups[$0] } }

    private mutating func prepareDirectory(_ boundary: Boundary, _ accounts: Accounts) throws(StartFailure) {
        let directory = "run/\(boundary.rawValue)"
        var mode: mode_t = boundary.access == .everybody ? 0o755 : 0o700
        var group: gid_t?
        if accounts.isPrivileged {
            group = 0
            if case .group(let name) = boundary.access {
                guard let entry = getgrnam(name) else {
                    throw StartFailure("group \(name) does not exist", mend: "run `make install`, or: groupadd --system \(name)")
                }
                groups[boundary] = entry.pointee.gr_gid
                group = entry.pointee.gr_gid
                mode = 0o750
            }
        }
        _ = try orMend("let the account that starts martletd own \(directory)") { () throws(SystemError) in
            try makeDirectory(directory, mode: mode, group: group)
        }
    }
}
