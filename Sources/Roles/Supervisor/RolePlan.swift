package import Boundaries
package import RoleContext

/// One kind of process that the supervisor keeps: a row of the design's table of processes.
package struct RolePlan: Sendable {
    package let name: String
    /// The account it runs under when the supervisor is root (one of `Accounts.names`); nil for a role that stays root.
    package let account: String?
    /// The boundaries it answers on. The supervisor binds them, so the role itself needs no right to enter their directories.
    package let answers: [Boundary]
    /// The boundaries it connects to: it is given their groups.
    package let asks: [Boundary]
    package let program: Program
    package let stopsIn: StopStage

    /// Bytes of address space, many times what it ever needs with every limit of ours reached (docs/decisions/0036): what goes beyond is a leak or an
    /// attack, and ends this one role, not the machine. The queue's grows with the mail in it. 0: none, as users' programs would inherit it.
    package var memoryLimit: UInt64 {
        switch name {
        case "lspawn": 0
        case "queue": 256 << 30
        default: 16 << 30
        }
    }

    package enum Program: Sendable {
        /// `martletd --role NAME …`
        case martletd
        /// `martlet-lspawn WORKER`: C, without the Swift runtime, as it stays root.
        case lspawn
    }

    /// The doors whose sockets it accepts on; a role with doors has as many workers as there are for intake, and none while no door is open.
    package let doors: [Door]

    package static let all: [RolePlan] = [
        RolePlan("queue", as: "qmailq", answers: [.inject, .deliverLocal, .deliverRemote, .admin], stopsIn: .deliveries),
        RolePlan("route", as: "qmailp", answers: [.route, .identity], stopsIn: .answers),
        RolePlan("dns", as: "qmailn", answers: [.dns], stopsIn: .answers),
        RolePlan("lspawn", as: nil, asks: [.deliverLocal, .identity, .opening], program: .lspawn, stopsIn: .answers),
        RolePlan("remote", as: "qmailr", asks: [.deliverRemote, .dns], stopsIn: .answers),
        RolePlan("keys", as: "qmailk", answers: [.keys], stopsIn: .answers),
        RolePlan("auth", as: "qmaila", answers: [.auth, .mailbox, .opening, .authAdmin], stopsIn: .answers),
        RolePlan("smtpd", as: "qmaild", asks: [.inject, .route, .dns, .auth, .keys], doors: Door.allCases.filter(\.takesMail), stopsIn: .intake),
        RolePlan("access", as: "qmaill", asks: [.auth, .mailbox, .keys], doors: Door.allCases.filter { !$0.takesMail }, stopsIn: .intake),
    ]

    private init(
        _ name: String, as account: String?, answers: [Boundary] = [], asks: [Boundary] = [], doors: [Door] = [], program: Program = .martletd,
        stopsIn: StopStage
    ) {
        self.name = name
        self.account = account
        self.answers = answers
        self.asks = asks
        self.doors = doors
        self.program = program
        self.stopsIn = stopsIn
    }
}

/// An orderly stop goes through these in order: first no new mail; then the queue, which waits for the deliveries that it has handed out; last those who
/// carry them out and those whom they ask. If the carriers ended with the queue, what it handed them at the last moment would be deferred.
package enum StopStage: Int, CaseIterable, Sendable {
    case intake
    case deliveries
    case answers

    /// What still runs then is killed. The sum, 30 s, bounds the whole stop.
    package var limitSeconds: Double {
        switch self {
        case .intake: 10
        case .deliveries: 15
        case .answers: 5
        }
    }
}

extension Boundary {
    /// Who may enter the boundary's directory besides root. The supervisor gives the group to the roles that ask there, so the accounts
    /// need not be members, and nothing else that runs under them gets in. An administrator may join people to `martlet-admin`.
    package var access: Access {
        switch self {
        case .inject: .everybody
        case .deliverLocal, .identity, .opening: .rootOnly
        case .authAdmin: .group("martlet-admin")
        case .deliverRemote, .route, .dns, .admin, .keys, .auth, .mailbox: .group("martlet-\(rawValue)")
        }
    }

    package enum Access: Equatable, Sendable {
        case everybody
        case rootOnly
        case group(String)
    }
}
