private import Bytes
private import Frames
private import Injection
private import Posix
private import Routing

/// qmail-getpw (qmail §6.5): which account's mail a local part is, by the system's accounts alone.
enum QmailGetpw {
    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        guard let local = call.arguments.first else { return ExitCode.permanent }
        let user: LocalUser
        do throws(LookupTrouble) { user = try PasswordRules(accounts(ofHome: QmailHome.find())).user(of: local[...]) } catch {
            return exitCode(error)
        }
        var output = Output(1)
        let ids = [Array(String(user.uid).utf8)[...], Array(String(user.gid).utf8)[...]]
        for field in [user.name] + ids + [user.home, user.dash, user.ext] { output.write(field + [ASCII.nul]) }
        output.flush()
        return output.hasFailed ? ExitCode.temporary : ExitCode.ok
    }

    /// Known to qmail-lspawn (qmail §2.4).
    private static func exitCode(_ trouble: LookupTrouble) -> Int32 {
        switch trouble {
        case .home: 115
        case .noAlias: 116
        case .usersDatabase: 117
        case .accounts: 118
        }
    }
}
