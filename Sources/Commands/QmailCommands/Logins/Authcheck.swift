private import Boundaries
private import Bytes
private import CPosix
private import ControlFiles
private import Frames
private import Glibc
private import Posix

/// `martlet-authcheck`: one question of role auth about an account that is not ours (``Check``), answered as root and forgotten.
///
/// Auth is believed in nothing but what it asks: back ends are those that the site has named.
enum Authcheck {
    private static let socket: Int32 = 0
    /// From start to end; auth waits a little longer.
    static let seconds: UInt32 = 20

    static func run(_ call: Invocation) -> Int32 {
        guard isQuestionSocket() else {
            writeAll(Array("martlet-authcheck: descriptor 0 is no socket of auth's; martlet-lspawn starts this program\n".utf8)[...], to: 2)
            return ExitCode.permanent
        }
        // What hangs in a look-up ends so.
        alarm(seconds + 2)
        guard let question = receive() else { return ExitCode.temporary }
        let packet = answer(question, call.environment).encode()
        _ = packet.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        return ExitCode.ok
    }

    private static func isQuestionSocket() -> Bool {
        var (type, domain) = (Int32(0), Int32(0))
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == Int32(SOCK_SEQPACKET.rawValue)
            && getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX
    }

    private static func receive() -> Check.Question? {
        var buffer = [UInt8](repeating: 0, count: Check.Question.maxLength)
        var descriptor: Int32 = -1
        let count = buffer.withUnsafeMutableBytes { martlet_receive(socket, $0.baseAddress, $0.count, &descriptor, 0) }
        if descriptor >= 0 { close(descriptor) }
        guard count > 0, let frame = Frame(packet: buffer[..<count]) else { return nil }
        return try? Check.Question(frame)
    }

    private static func answer(_ question: Check.Question, _ environment: Environment) -> Check.Answer {
        do throws(SystemAccount.Trouble) {
            guard try isNamed(question) else { return trouble("auth asks for a back end that control/authbackends does not name") }
            let method = question.method == .system ? hasPAMService() ? .pam : .shadow : question.method
            switch method {
            case .program: return CheckpasswordProgram(question, environment, seconds: seconds).answer()
            case .pam: return try pam(question)
            case .shadow, .system: return answer(try SystemAccount.admit(Array(question.login), Array(question.password)))
            }
        } catch {
            return trouble(error.text.isEmpty ? "the system's accounts cannot be looked up now" : error.text)
        }
    }

    /// Who takes auth over must not have root run a program of his choice.
    private static func isNamed(_ question: Check.Question) throws(SystemAccount.Trouble) -> Bool {
        let lines: [[UInt8]]?
        do throws(SystemError) { lines = try ControlDirectory().list("authbackends") } catch { throw SystemAccount.Trouble(text: "\(error)") }
        let line =
            switch question.method {
            case .system: Array("system".utf8)
            case .pam: Array("pam".utf8)
            case .shadow: Array("shadow".utf8)
            case .program: Array("program ".utf8) + question.program
            }
        return lines?.contains(line) ?? (question.method == .system)
    }

    private static func hasPAMService() -> Bool {
        access("/etc/pam.d/martlet", F_OK) == 0 || access("/usr/lib/pam.d/martlet", F_OK) == 0
    }

    private static func pam(_ question: Check.Question) throws(SystemAccount.Trouble) -> Check.Answer {
        guard !question.login.contains(0), !question.password.contains(0), !question.login.isEmpty else { return .denied }
        let strings = CStrings([Array(question.login), Array(question.password), Array(question.address)])
        var user = [CChar](repeating: 0, count: 256)
        let result = withExtendedLifetime(strings) { () -> martlet_pam in
            guard let login = strings.pointers[0], let password = strings.pointers[1], let host = strings.pointers[2] else {
                return MARTLET_PAM_TROUBLE
            }
            return martlet_pam_check("martlet", login, password, host, &user, user.count)
        }
        switch result {
        case MARTLET_PAM_ADMITTED: return answer(try SystemAccount.find(user.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }))
        case MARTLET_PAM_DENIED: return .denied
        case MARTLET_PAM_MISSING: return trouble("libpam.so.0 is not there; install it (Debian: libpam0g)")
        default: return trouble("PAM is in trouble; see its own log")
        }
    }

    private static func answer(_ account: SystemAccount?) -> Check.Answer {
        guard let account, account.uid != 0 else { return .denied }
        return .identity(uid: account.uid, gid: account.gid, user: account.name[...], home: account.home[...])
    }

    private static func trouble(_ text: String) -> Check.Answer { .trouble(Array(text.utf8)[...]) }
}
