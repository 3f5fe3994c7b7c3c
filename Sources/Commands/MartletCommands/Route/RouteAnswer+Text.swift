private import Accounts
private import Addresses
private import Bytes
private import Frames
private import RemoteDelivery
private import Routing

// For people.
extension RouteAnswer {
    var text: String {
        var lines = [("address", Terminal.visible(asked.bytes))]
        if recipient != asked { lines.append(("becomes", Terminal.visible(recipient.bytes))) }
        lines.append(("channel", "\(channel): \(reason)"))
        switch way {
        case .local(let finding, let file): lines += Self.lines(finding, file)
        case .account(let finding): lines += Self.lines(finding)
        case .discarded: lines.append(("trash", "an empty local part: the mail is thrown away"))
        case .remote(let key, let plan, let resting): lines += Self.lines(key, plan, resting)
        case .program(let path): lines.append(("program", "\(Terminal.visible(path)), as control/remoteprogram says"))
        case .ended(let report): lines.append(("outcome", "\(report.outcome): \(Self.line(report.text))"))
        }
        return lines.map { Terminal.styled($0.0.padded(to: 10), .faint) + $0.1 }.joined(separator: "\n")
    }

    private static func line(_ text: ArraySlice<UInt8>) -> String {
        Terminal.visible(Array(text.split(separator: ASCII.lf).joined(separator: [ASCII.space])))
    }

    private var reason: String {
        switch rule {
        case .locals: return "its domain is in locals"
        case .virtualDomain(let key, let prepend):
            let line = "line \"\(Terminal.visible(key)):\(Terminal.visible(prepend))\" of virtualdomains"
            return prepend.isEmpty ? "\(line), an exception" : line
        case .accounts: return "its domain has accounts of our own"
        case .none: return "its domain is in neither locals nor virtualdomains"
        }
    }

    private static func lines(_ finding: LocalUserDirectory.Finding, _ file: DotQmailSearch) -> [(String, String)] {
        let user = finding.user
        let instructions =
            switch file {
            case .file(let path): Terminal.visible(path)
            case .none: user.dash.isEmpty ? "none: by control/defaultdelivery" : "none: no mailbox here by that name"
            case .unknown: "not to be seen from here"
            }
        return [
            ("user", "\(Terminal.visible(user.name)), uid \(user.uid), gid \(user.gid)"), ("home", Terminal.visible(user.home)),
            (".qmail", instructions),
        ]
    }

    private static func lines(_ finding: AccountDirectory.Finding) -> [(String, String)] {
        switch finding {
        case .nobody: return [("account", "none: no mailbox here by that name")]
        case .targets(let targets): return [("forwards", targets.map { Terminal.visible($0) }.joined(separator: ", "))]
        case .mailbox(let address, _, let keepsMail, let forwards, _):
            let mailbox = ("mailbox", Terminal.visible(address.bytes))
            return (keepsMail ? [mailbox] : [])
                + (forwards.isEmpty ? [] : [("forwards", forwards.map { Terminal.visible($0) }.joined(separator: ", "))])
        }
    }

    private static func lines(_ key: [UInt8]?, _ plan: ConnectionPlan, _ resting: Set<IPAddress>) -> [(String, String)] {
        var lines = [("by", key.map { "line \"\(Terminal.visible($0)):\" of smtproutes" } ?? "DNS")]
        if let login = plan.login { lines.append(("login", "\(Terminal.visible(login.user)), password in \(Terminal.visible(login.passwordFile))")) }
        for (number, attempt) in plan.inOrder.enumerated() {
            let host = attempt.host.isEmpty ? "" : "\(Terminal.visible(attempt.host)) "
            let rest = resting.contains(attempt.address) ? "; left out for now, as it did not answer lately" : ""
            lines.append(
                ("\(number + 1)", "\(host)\(attempt.address) port \(attempt.port), preference \(attempt.preference), \(attempt.demand)\(rest)"))
        }
        return lines
    }
}

extension ConnectionPlan.Attempt {
    fileprivate var demand: String {
        let name = certificateName.map { Terminal.visible($0) } ?? "\(address)"
        let tls = beginsWithTLS ? "TLS from the first byte" : "TLS demanded"
        return switch security {
        case .none: "no TLS"
        case .may: "TLS if it is offered, by any certificate"
        case .encrypt: "\(tls), by any certificate"
        case .verify: "\(tls), by a certificate of \(name)"
        }
    }
}
