private import Bytes
package import CDB
package import Frames

/// `users/cdb`, which qmail-newu makes of `users/assign`: who controls which local parts (spec-qmail §6.2, §6.3).
package struct UserAssignments: Sendable {
    private let database: ConstantDatabase

    package init(_ database: ConstantDatabase) { self.database = database }

    /// Who is assigned a local part: by a line for just this one, else by the longest prefix. Nil when no line fits.
    package func user(of localPart: ArraySlice<UInt8>) throws(LookupTrouble) -> LocalUser? {
        let folded = localPart.lowercasedASCII()
        if let assigned = try record([UserAssignments.mark] + folded + [ASCII.nul]) {
            return try UserAssignments.user(assigned, rest: [])
        }
        // The record with the empty key holds the last bytes of all prefixes, so that most lengths cost no look-up.
        let lastBytes = Set(try record([]) ?? [])
        for length in stride(from: folded.count, through: 0, by: -1) {
            guard length == 0 || lastBytes.contains(folded[length - 1]) else { continue }
            guard let assigned = try record([UserAssignments.mark] + folded[..<length]) else { continue }
            return try UserAssignments.user(assigned, rest: localPart.dropFirst(length))
        }
        return nil
    }

    private static let mark: UInt8 = 0x21  // !

    private func record(_ key: [UInt8]) throws(LookupTrouble) -> [UInt8]? {
        do throws(ConstantDatabase.Failure) {
            return try database.value(of: key)
        } catch {
            throw .usersDatabase
        }
    }

    /// `USER\0UID\0GID\0HOME\0DASH\0EXT`; `rest` is what a prefix left over.
    private static func user(_ record: [UInt8], rest: ArraySlice<UInt8>) throws(LookupTrouble) -> LocalUser {
        let fields = record.split(separator: ASCII.nul, omittingEmptySubsequences: false)
        guard fields.count == 6, let uid = identifier(fields[1]), let gid = identifier(fields[2]), fields[3].first == ASCII.slash else {
            throw .usersDatabase
        }
        return LocalUser(name: fields[0], uid: uid, gid: gid, home: fields[3], dash: fields[4], ext: (fields[5] + rest)[...])
    }

    /// All ones means "leave it as it is" to setuid and its kin: no identity.
    private static func identifier(_ digits: ArraySlice<UInt8>) -> UInt32? {
        parseDecimal(digits).flatMap { UInt32(exactly: $0) }.flatMap { $0 == .max ? nil : $0 }
    }
}
