private import Bytes

/// A host that takes mail for others, as a line of `control/smtproutes` describes it.
package struct Relay: Hashable, Sendable {
    /// Who we are to it.
    package struct Login: Hashable, Sendable {
        package var user: [UInt8]
        /// Holds the password. Absolute, or from the qmail home.
        package var passwordFile: [UInt8]

        package init(user: [UInt8], passwordFile: [UInt8]) {
            self.user = user
            self.passwordFile = passwordFile
        }
    }

    package var host: [UInt8]
    package var port: UInt16
    package var security = TransportSecurity.may
    /// TLS from the first byte (RFC 8314 §3.3) instead of STARTTLS.
    package var beginsWithTLS = false
    /// What its certificate must name instead of ``host``.
    package var certificateName: [UInt8]?
    package var login: Login?

    package init(host: [UInt8], port: UInt16) {
        self.host = host
        self.port = port
    }

    /// What is wrong with a line; without a word of it, for one may be a password.
    package struct Malformed: Error, Equatable { package let problem: String }

    static let submissionsPort: UInt16 = 465
}

// The value of a line:
//
//     RELAY[:PORT] [tls=none|may|encrypt|verify|implicit] [name=HOST] [user=NAME passwordfile=FILE]
//
// qmail's is RELAY[:PORT], and what stands behind a port it does not see: so are words without `=`.
extension Relay {
    package init(_ value: [UInt8]) throws(Malformed) {
        let words = value.split(whereSeparator: \.isBlank)
        guard let first = words.first else { throw Malformed(problem: "is not RELAY or RELAY:PORT") }
        let options = try Options(words.dropFirst())
        let (host, port) = try Self.endpoint(first)
        self.init(host: host, port: port ?? (options.beginsWithTLS ? Self.submissionsPort : SMTPRoutes.smtpPort))
        login = try options.login
        security = try options.security
        beginsWithTLS = options.beginsWithTLS
        certificateName = options.texts["name"].map { $0.lowercasedASCII() }
    }

    /// `relay` or `relay:port`. An IPv6 address stands in brackets, which qmail does not know: `[::1]:2526`.
    private static func endpoint(_ text: ArraySlice<UInt8>) throws(Malformed) -> (host: [UInt8], port: UInt16?) {
        let bracket = text.first == ASCII.leftBracket ? text.firstIndex(of: ASCII.rightBracket) : nil
        guard let colon = text[(bracket ?? text.startIndex)...].firstIndex(of: ASCII.colon) else { return (Array(text), nil) }
        guard colon > text.startIndex, let port = parseLeadingDecimal(text[(colon + 1)...]).flatMap(UInt16.init(exactly:)), port > 0 else {
            throw Malformed(problem: "is not RELAY or RELAY:PORT")
        }
        return (Array(text[..<colon]), port)
    }

    private struct Options {
        private(set) var texts: [String: [UInt8]] = [:]

        init(_ words: ArraySlice<ArraySlice<UInt8>>) throws(Malformed) {
            for word in words {
                guard let equals = word.firstIndex(of: ASCII.equals) else { continue }
                let name = word[..<equals].text
                guard ["tls", "name", "user", "passwordfile"].contains(name), equals + 1 < word.endIndex else {
                    throw Malformed(problem: "has an option that is none of tls=, name=, user=, passwordfile=, or that says nothing")
                }
                texts[name] = Array(word[(equals + 1)...])
            }
        }

        var beginsWithTLS: Bool { texts["tls"].map(\.text) == "implicit" }

        var login: Login? {
            get throws(Malformed) {
                switch (texts["user"], texts["passwordfile"]) {
                case (nil, nil): return nil
                case (let user?, let file?): return Login(user: user, passwordFile: file)
                default: throw Malformed(problem: "has one of user= and passwordfile= without the other")
                }
            }
        }

        /// A password goes to a host that has shown who it is, unless the line itself says that less is enough.
        var security: TransportSecurity {
            get throws(Malformed) {
                let hasLogin = texts["user"] != nil
                guard let word = texts["tls"] else { return hasLogin ? .verify : .may }
                if beginsWithTLS { return .verify }
                guard let security = TransportSecurity(rawValue: word.text) else {
                    throw Malformed(problem: "has a tls= that is none of none, may, encrypt, verify, implicit")
                }
                if hasLogin, security == .may {
                    throw Malformed(
                        problem: "has a login with tls=may, by which anybody on the way could have the password: say none, encrypt or verify")
                }
                return security
            }
        }
    }
}
