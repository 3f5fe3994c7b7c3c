private import AccessRole
private import AuthRole
private import DNSRole
private import Glibc
private import KeysRole
private import Manuals
private import Posix
private import QueueRole
private import RemoteRole
private import RoleContext
private import RouteRole
private import SMTPDRole
private import Supervisor

/// `martletd [ -l ] [ HOME ]`: the supervisor; the same program again, with a role's arguments, in each process it starts.
enum Martletd {
    /// - Returns: the exit code: 0 after an orderly stop, 1 when it cannot start as it is configured, 100 for wrong usage.
    static func run(_ commandLine: [String]) -> Int32 {
        var arguments = commandLine.dropFirst()
        if RoleContext.isRole(arguments) { return runRole(arguments) }
        if let answer = manual.answer(to: arguments.map { Array($0.utf8) }) {
            print(answer, terminator: "")
            return 0
        }
        let logsToFile = arguments.first == "-l"
        if logsToFile { arguments = arguments.dropFirst() }
        guard arguments.count <= 1, arguments.first?.hasPrefix("-") != true else {
            log("martletd: usage: martletd \(manual.synopsis)")
            return 100
        }
        let home = arguments.first ?? getenv("QMAILHOME").map { String(cString: $0) } ?? "/var/qmail"
        return Supervisor.run(home: home, logsToFile: logsToFile)
    }

    private static func runRole(_ arguments: ArraySlice<String>) -> Int32 {
        let accounts = getenv(RoleContext.accountsVariable).map { String(cString: $0) }
        guard let context = RoleContext(arguments: arguments, accountsText: accounts) else {
            log("martletd: --role is for martletd's own use")
            return 100
        }
        RoleProcess.enter(context)
        switch context.role {
        case "queue": return QueueRole.run(context)
        case "route": return RouteRole.run(context)
        case "dns": return DNSRole.run(context)
        case "smtpd": return SMTPDRole.run(context)
        case "remote": return RemoteRole.run(context)
        case "keys": return KeysRole.run(context)
        case "auth": return AuthRole.run(context)
        case "access": return AccessRole.run(context)
        default:
            log("martletd: there is no role \(context.role)")
            return 100
        }
    }
}
