private import Bytes
private import Glibc

/// How a context travels from the supervisor to the role: name, worker and sockets in the arguments, so that `ps` tells processes apart; accounts in the environment.
///
///     martletd --role smtpd --worker 0 --socket smtp=127.0.0.1:25 --socket smtp=[::1]:25
///     MARTLET_ACCOUNTS=alias:990:980 qmaild:991:980 …
extension RoleContext {
    /// Descriptor 0 hangs up when the supervisor is gone (``RoleProcess``), 1 and 2 take log lines; the sockets follow in the order of their names.
    package static let firstSocket: Int32 = 3

    /// Absent in an unprivileged install.
    package static let accountsVariable = "MARTLET_ACCOUNTS"

    /// Behind the program's name.
    package var arguments: [String] {
        ["--role", role, "--worker", String(worker), "--workers", String(workers)] + sockets.flatMap { ["--socket", $0.name] }
    }

    /// `name:uid:gid`, a blank between them; nil in an unprivileged install.
    package var accountsText: String? {
        accounts.isPrivileged ? accounts.all.map { "\($0.name):\($0.uid):\($0.gid)" }.joined(separator: " ") : nil
    }

    /// Whether these arguments, behind the program's name, are for a role rather than the supervisor.
    package static func isRole(_ arguments: ArraySlice<String>) -> Bool { arguments.first == "--role" }

    /// - Parameters:
    ///   - arguments: as ``arguments`` makes them.
    ///   - accountsText: the value of ``accountsVariable``.
    /// - Returns: nil for anything else.
    package init?(arguments: ArraySlice<String>, accountsText: String?) {
        var role: String?
        var worker: Int?
        var workers = 1
        var names: [String] = []
        var rest = arguments
        while let option = rest.popFirst() {
            guard let value = rest.popFirst() else { return nil }
            switch option {
            case "--role": role = value
            case "--worker": worker = parseDecimal(Array(value.utf8), maxDigits: 4).map(Int.init)
            case "--workers":
                guard let count = parseDecimal(Array(value.utf8), maxDigits: 4), count > 0 else { return nil }
                workers = Int(count)
            case "--socket": names.append(value)
            default: return nil
            }
        }
        guard let role, let worker else { return nil }
        let sockets = names.enumerated().map { (name: $1, descriptor: Self.firstSocket + Int32($0)) }
        guard let accounts = accountsText.map(Accounts.init(text:)) ?? .unprivileged(uid: geteuid(), gid: getegid()) else { return nil }
        self.init(role: role, worker: worker, workers: workers, sockets: sockets, accounts: accounts)
    }
}

extension Accounts {
    fileprivate init?(text: String) {
        var found: [Account] = []
        for entry in text.split(separator: " ") {
            let fields = entry.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count == 3, let uid = UInt32(fields[1]), let gid = UInt32(fields[2]) else { return nil }
            found.append(Account(name: String(fields[0]), uid: uid, gid: gid))
        }
        guard found.map(\.name) == Self.names else { return nil }
        self.init(found, own: Account(name: "root", uid: 0, gid: 0))
    }
}
