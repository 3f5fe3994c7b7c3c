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

    private static func account(_ credentials: Credentials) throws(Refusal) -> SystemAccount {
        let account: SystemAccount?
        do throws(SystemAccount.Trouble) {
            account = try SystemAccount.admit(credentials.login, credentials.password)
        } catch {
            if !error.text.isEmpty { complain(error.text) }
            throw .trouble
        }
        guard let account else { throw .denied }
        return account
    }

    // MARK: - Becoming the account

    private static func become(_ account: SystemAccount, _ login: [UInt8]) throws(Refusal) {
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
