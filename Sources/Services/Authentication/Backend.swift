private import Bytes
package import Frames

/// Somebody who knows accounts: a line of `control/authbackends`.
package enum Backend: Equatable, Sendable {
    /// Our own (`auth/accounts.cdb`).
    case accounts
    /// Asked by `martlet-authcheck`, as root.
    case check(Check.Method, program: [UInt8])

    /// `accounts`, `system`, `pam`, `shadow`, or `program /PATH`.
    package init?(_ line: [UInt8]) {
        switch line.text {
        case "accounts": self = .accounts
        case "system": self = .check(.system, program: [])
        case "pam": self = .check(.pam, program: [])
        case "shadow": self = .check(.shadow, program: [])
        default:
            guard line.starts(with: "program /".utf8) else { return nil }
            self = .check(.program, program: Array(line.dropFirst("program ".utf8.count)))
        }
    }
}
