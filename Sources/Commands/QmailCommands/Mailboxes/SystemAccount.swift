private import CPosix
private import Glibc
internal import Posix

/// An account of the system, by its passwd entry, and its password, by the shadow file.
struct SystemAccount {
    struct Trouble: Error { let text: String }

    let name: [UInt8]
    let uid: UInt32
    let gid: UInt32
    let home: [UInt8]
    let shell: [UInt8]
    private let password: [UInt8]

    /// The account of that name if this is its password; nil also for root under any name.
    static func admit(_ login: [UInt8], _ password: [UInt8]) throws(Trouble) -> SystemAccount? {
        let account = try find(login)
        // Also for an account that is not there: the time that a no takes must not tell.
        var hash = PasswordHash.decoy
        if let account { hash = try account.hash() }
        let isRight: Bool
        do throws(PasswordHash.Failure) {
            isRight = try PasswordHash.verify(password, hash)
        } catch {
            throw Trouble(text: error.description)
        }
        guard isRight, let account, account.uid != 0 else { return nil }
        return account
    }

    static func find(_ login: [UInt8]) throws(Trouble) -> SystemAccount? {
        guard !login.isEmpty, !login.contains(0) else { return nil }
        errno = 0
        let name = CStrings([login])
        return try withExtendedLifetime(name) { () throws(Trouble) in
            guard let start = name.pointers[0] else { return nil }
            guard let entry = getpwnam(start)?.pointee else {
                guard errno == 0 || !(errno == ETXTBSY || isTemporaryError(errno)) else { throw Trouble(text: "") }
                return nil
            }
            return SystemAccount(
                name: bytes(entry.pw_name), uid: entry.pw_uid, gid: entry.pw_gid, home: bytes(entry.pw_dir), shell: bytes(entry.pw_shell),
                password: bytes(entry.pw_passwd))
        }
    }

    /// The shadow file's; the passwd file's when there is none, or no right to look.
    private func hash() throws(Trouble) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 4096)
        let strings = CStrings([name])
        let found = withExtendedLifetime(strings) { strings.pointers[0].map { martlet_shadow_password($0, &buffer, buffer.count) } ?? 0 }
        guard found >= 0 || !isTemporaryError(-found) else { throw Trouble(text: "") }
        return found > 0 ? buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) } : password
    }

    private static func bytes(_ text: UnsafeMutablePointer<CChar>?) -> [UInt8] {
        guard let text else { return [] }
        return Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
    }
}
