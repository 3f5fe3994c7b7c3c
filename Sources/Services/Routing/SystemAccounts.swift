private import Glibc
private import Posix

/// The accounts of the operating system, through getpwnam and so through whatever `nsswitch.conf` names.
package struct SystemAccounts: AccountSource {
    package init() {}

    package func account(named name: [UInt8]) throws(LookupTrouble) -> MailAccount? {
        guard !name.isEmpty, !name.contains(0) else { return nil }
        // A first try that suits nearly every entry, then more, up to a limit that no honest entry reaches.
        var size = 4096
        while size <= 1 << 20 {
            let (found, failure) = SystemAccounts.find(name, bufferSize: size)
            if failure != ERANGE {
                guard failure == 0 || !SystemAccounts.isTrouble(failure) else { throw .accounts }
                return found
            }
            size *= 4
        }
        throw .accounts
    }

    package func owner(ofHome path: [UInt8]) throws(LookupTrouble) -> UInt32? { try ownerOfDirectory(path) }

    package func alias() throws(LookupTrouble) -> MailAccount {
        guard let alias = try account(named: Array("alias".utf8)) else { throw .noAlias }
        return alias
    }

    /// getpwnam(3) lists several numbers that only mean "no such account".
    private static func isTrouble(_ code: Int32) -> Bool { code == ETXTBSY || isTemporaryError(code) }

    private static func find(_ name: [UInt8], bufferSize: Int) -> (MailAccount?, Int32) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: bufferSize) { buffer in
            var entry = passwd()
            var found: UnsafeMutablePointer<passwd>?
            let failure = (name.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { cName -> Int32 in
                guard let start = cName.baseAddress, let space = buffer.baseAddress else { return ENOMEM }
                return getpwnam_r(start, &entry, space, bufferSize, &found)
            }
            guard failure == 0, found != nil, let home = entry.pw_dir else { return (nil, failure) }
            let path = UnsafeRawBufferPointer(start: home, count: strlen(home))
            return (MailAccount(name: name, uid: entry.pw_uid, gid: entry.pw_gid, home: Array(path)), 0)
        }
    }
}

/// spec-qmail §6.5: trouble that may pass defers the mail, any other failure makes the candidate none.
func ownerOfDirectory(_ path: [UInt8]) throws(LookupTrouble) -> UInt32? {
    var info = stat()
    do throws(SystemError) {
        try withPath(path) { (path) throws(SystemError) in try check("stat") { stat(path, &info) } }
    } catch {
        if error.isTemporary { throw .home }
        return nil
    }
    return info.st_uid
}
