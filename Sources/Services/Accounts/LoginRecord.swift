private import Bytes

/// What role auth knows of one account of ours: the value that `auth/accounts.cdb` has for its address in lower case.
///
/// One fact a line, its name before the first blank; lines with other names are for later versions and skipped, so that an older auth reads a newer file:
///
///     uid 1001
///     gid 1001
///     home /var/qmail/domains/example.org/joe
///     mailbox Maildir
///     confined
///     disabled
///     password $y$j9T$…  LABEL
///     scram-sha-256 4096 SALT STOREDKEY SERVERKEY
///     secret BASE64
package struct LoginRecord: Equatable, Sendable {
    package struct Password: Equatable, Sendable {
        /// As crypt(3) makes it.
        package var hash: [UInt8]
        /// Empty for the account's own password; the name of an application password.
        package var label: [UInt8]

        package init(hash: [UInt8], label: [UInt8] = []) {
            self.hash = hash
            self.label = label
        }
    }

    /// RFC 5802 §3: enough to check a proof, not enough to make one. Of the account's own password.
    package struct SCRAM: Equatable, Sendable {
        package var iterations: UInt32
        package var salt: [UInt8]
        package var storedKey: [UInt8]
        package var serverKey: [UInt8]

        package init(iterations: UInt32, salt: [UInt8], storedKey: [UInt8], serverKey: [UInt8]) {
            self.iterations = iterations
            self.salt = salt
            self.storedKey = storedKey
            self.serverKey = serverKey
        }
    }

    package var uid: UInt32
    package var gid: UInt32
    /// Absolute.
    package var home: [UInt8]
    /// The Maildir, relative to ``home``.
    package var mailbox: [UInt8]
    /// Shares its uid with other mailboxes: its processes lock themselves into ``home``.
    package var isConfined: Bool
    /// Nobody logs in; mail still comes.
    package var isDisabled: Bool
    package var passwords: [Password]
    package var scram: SCRAM?
    /// The password itself, for CRAM-MD5 and APOP; only where the site stores it (`control/authsecrets`).
    package var secret: [UInt8]?

    /// Below the qmail home.
    package static let path = "auth/accounts.cdb"
    /// Each costs a hash at a login that fails.
    package static let maxPasswords = 16

    package init(
        uid: UInt32, gid: UInt32, home: [UInt8], mailbox: [UInt8], isConfined: Bool, isDisabled: Bool = false, passwords: [Password],
        scram: SCRAM? = nil, secret: [UInt8]? = nil
    ) {
        self.uid = uid
        self.gid = gid
        self.home = home
        self.mailbox = mailbox
        self.isConfined = isConfined
        self.isDisabled = isDisabled
        self.passwords = passwords
        self.scram = scram
        self.secret = secret
    }

    /// - Returns: nil without uid, gid, home and mailbox, or when a line that is known does not parse.
    package init?(encoded: [UInt8]) {
        var ids: [String: UInt32] = [:]
        var places: [String: [UInt8]] = [:]
        (isConfined, isDisabled, passwords) = (false, false, [])
        for line in encoded.split(separator: ASCII.lf) {
            let name = line.prefix { $0 != ASCII.space }
            let value = line[name.endIndex...].dropFirst()
            switch name.text {
            case "uid", "gid":
                guard let number = parseDecimal(value), let id = UInt32(exactly: number) else { return nil }
                ids[name.text] = id
            case "home", "mailbox": places[name.text] = Array(value)
            case "confined": isConfined = true
            case "disabled": isDisabled = true
            case "password":
                guard passwords.count < Self.maxPasswords else { return nil }
                let hash = value.prefix { $0 != ASCII.space }
                passwords.append(Password(hash: Array(hash), label: Array(value[hash.endIndex...].dropFirst())))
            case "scram-sha-256":
                guard let found = SCRAM(value) else { return nil }
                scram = found
            case "secret":
                guard let found = Base64.decode(value) else { return nil }
                secret = found
            default: continue
            }
        }
        guard let uid = ids["uid"], let gid = ids["gid"], let home = places["home"], let mailbox = places["mailbox"] else { return nil }
        (self.uid, self.gid, self.home, self.mailbox) = (uid, gid, home, mailbox)
    }

    /// - Returns: nil when a field holds a LF or a NUL, or ``passwords`` are too many: it would be read as something else.
    package var encoded: [UInt8]? {
        let texts = [home, mailbox] + passwords.flatMap { [$0.hash, $0.label] }
        guard passwords.count <= Self.maxPasswords, !texts.contains(where: { $0.contains(ASCII.lf) || $0.contains(ASCII.nul) }),
            !passwords.contains(where: { $0.hash.contains(ASCII.space) })
        else { return nil }
        var lines: [[UInt8]] = [Array("uid \(uid)".utf8), Array("gid \(gid)".utf8), Array("home ".utf8) + home, Array("mailbox ".utf8) + mailbox]
        if isConfined { lines.append(Array("confined".utf8)) }
        if isDisabled { lines.append(Array("disabled".utf8)) }
        for password in passwords {
            lines.append(Array("password ".utf8) + password.hash + (password.label.isEmpty ? [] : [ASCII.space] + password.label))
        }
        if let scram { lines.append(scram.encoded) }
        if let secret { lines.append(Array("secret ".utf8) + Base64.encode(secret)) }
        return Array(lines.joined(separator: [ASCII.lf])) + [ASCII.lf]
    }
}

extension LoginRecord.SCRAM {
    fileprivate init?(_ text: ArraySlice<UInt8>) {
        let fields = text.split(separator: ASCII.space, omittingEmptySubsequences: false)
        guard fields.count == 4, let iterations = parseDecimal(fields[0]).flatMap(UInt32.init(exactly:)), iterations > 0,
            let salt = Base64.decode(fields[1]), !salt.isEmpty, let storedKey = Base64.decode(fields[2]), let serverKey = Base64.decode(fields[3])
        else { return nil }
        self.init(iterations: iterations, salt: salt, storedKey: storedKey, serverKey: serverKey)
    }

    fileprivate var encoded: [UInt8] {
        let fields = [salt, storedKey, serverKey].map { Base64.encode($0) }
        return Array("scram-sha-256 \(iterations) ".utf8) + fields.joined(separator: [ASCII.space])
    }
}
