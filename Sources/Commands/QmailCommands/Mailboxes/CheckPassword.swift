private import Bytes
private import CPosix
private import Checkpassword
private import Glibc
private import Posix

/// checkpassword (spec-qmail §16.2) for the accounts of the system.
enum CheckPassword {
    private static let descriptor: Int32 = 3

    private enum Refusal: Int32, Error {
        case denied = 1
        case misuse = 2
        case trouble = 111
    }

    private struct Account {
        let uid: uid_t
        let gid: gid_t
        let home: [UInt8]
        let shell: [UInt8]
        /// The hash that the password must have.
        let hash: [UInt8]
    }

    static func run(_ call: Invocation) -> Int32 {
        do throws(Refusal) {
            guard !call.arguments.isEmpty else { throw .misuse }
            let credentials = try readCredentials()
            let account = try account(credentials)
            try become(account, credentials.login)
            let error = Child.become(call.arguments)
            complain("unable to run \(call.arguments[0].text): \(error.reason)")
            throw .trouble
        } catch {
            return error.rawValue
        }
    }

    private static func complain(_ text: String) { writeAll(Array("checkpassword: \(text)\n".utf8)[...], to: 2) }

    private static func readCredentials() throws(Refusal) -> Credentials {
        var input = Input(descriptor)
        var bytes: [UInt8] = []
        do throws(Input.Failure) {
            while let chunk = try input.chunk(), bytes.count <= Credentials.maxBytes { bytes += chunk }
        } catch { throw error.errno == EBADF ? .misuse : .trouble }
        close(descriptor)
        guard bytes.count <= Credentials.maxBytes else { throw .denied }
        guard let credentials = Credentials(encoded: bytes) else { throw .misuse }
        return credentials
    }

    // MARK: - Is it right?

    private static func account(_ credentials: Credentials) throws(Refusal) -> Account {
        let account = try find(credentials.login)
        // Also for an account that is not there: the time that a no takes must not tell.
        let isRight = try verify(credentials.password, account?.hash ?? PasswordHash.decoy)
        guard isRight, let account, account.uid != 0 else { throw .denied }
        return account
    }

    private static func verify(_ password: [UInt8], _ hash: [UInt8]) throws(Refusal) -> Bool {
        do throws(PasswordHash.Failure) {
            return try PasswordHash.verify(password, hash)
        } catch {
            complain(error.description)
            throw .trouble
        }
    }

    private static func find(_ login: [UInt8]) throws(Refusal) -> Account? {
        errno = 0
        let name = CStrings([login])
        return try withExtendedLifetime(name) { () throws(Refusal) in
            guard let start = name.pointers[0], !login.isEmpty else { return nil }
            guard let entry = getpwnam(start)?.pointee else {
                guard errno == 0 || !(errno == ETXTBSY || isTemporaryError(errno)) else { throw .trouble }
                return nil
            }
            return Account(
                uid: entry.pw_uid, gid: entry.pw_gid, home: bytes(entry.pw_dir), shell: bytes(entry.pw_shell),
                hash: try shadow(start) ?? bytes(entry.pw_passwd))
        }
    }

    /// Nil when there is none, or no right to look: then the passwd file must do.
    private static func shadow(_ name: UnsafePointer<CChar>) throws(Refusal) -> [UInt8]? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let found = martlet_shadow_password(name, &buffer, buffer.count)
        guard found >= 0 || !isTemporaryError(-found) else { throw .trouble }
        return found > 0 ? buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) } : nil
    }

    private static func bytes(_ text: UnsafeMutablePointer<CChar>?) -> [UInt8] {
        guard let text else { return [] }
        return Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
    }

    // MARK: - Becoming the account

    private static func become(_ account: Account, _ login: [UInt8]) throws(Refusal) {
        var group = account.gid
        // Already the account: nothing is to be changed, and only root may.
        let isAlready = getuid() == account.uid && geteuid() == account.uid
        guard isAlready || (setgroups(1, &group) == 0 && setgid(group) == 0 && setuid(account.uid) == 0) else { throw .denied }
        guard (try? withPath(account.home) { chdir($0) }) == 0 else { throw .trouble }
        for (name, value) in [("USER", login), ("HOME", account.home), ("SHELL", account.shell)] {
            let text = CStrings([value])
            withExtendedLifetime(text) { if let start = text.pointers[0] { setenv(name, start, 1) } }
        }
    }
}
