private import Bytes

/// What a program is when checkpassword has become it: who, where, and under which name. Each field is ended by a NUL, and nothing follows.
package struct ReachedAccount: Equatable, Sendable {
    package let uid: UInt32
    package let gid: UInt32
    /// The variable `USER`; empty when it is not set.
    package let user: [UInt8]
    /// The working directory.
    package let home: [UInt8]

    package static let maxBytes = 8192

    package init(uid: UInt32, gid: UInt32, user: [UInt8], home: [UInt8]) {
        self.uid = uid
        self.gid = gid
        self.user = user
        self.home = home
    }

    package init?(encoded: [UInt8]) {
        let fields = encoded.split(separator: ASCII.nul, omittingEmptySubsequences: false)
        guard fields.count == 5, fields[4].isEmpty, let uid = parseDecimal(fields[0]).flatMap(UInt32.init(exactly:)),
            let gid = parseDecimal(fields[1]).flatMap(UInt32.init(exactly:)), fields[3].first == ASCII.slash
        else { return nil }
        self.init(uid: uid, gid: gid, user: Array(fields[2]), home: Array(fields[3]))
    }

    package var encoded: [UInt8] {
        Array([Array("\(uid)".utf8), Array("\(gid)".utf8), user, home, []].joined(separator: [ASCII.nul]))
    }
}
