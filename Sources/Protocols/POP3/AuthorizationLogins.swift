private import Bytes
private import Checkpassword

// USER and PASS, APOP, AUTH: how a client says who it is.
extension AuthorizationSession {
    /// Whether a login may be tried now; otherwise the client is told why not.
    mutating func mayLogIn() -> Bool {
        guard isEncrypted || !offer.needsTLS else {
            say("-ERR [SYS/PERM] no login without TLS")
            return false
        }
        return true
    }

    mutating func takeUser(_ argument: ArraySlice<UInt8>) {
        guard mayLogIn() else { return }
        guard !argument.isEmpty else { return say("-ERR syntax error") }
        user = Array(argument)
        say("+OK ")
    }

    mutating func takePassword(_ argument: ArraySlice<UInt8>) {
        guard mayLogIn() else { return }
        guard let user else { return say("-ERR USER first") }
        guard !argument.isEmpty else { return say("-ERR syntax error") }
        check(OfferedLogins.plain, user, Array(argument)) { [ASCII.nul] + $0 + [ASCII.nul] + $1 }
    }

    mutating func takeDigest(_ argument: ArraySlice<UInt8>) {
        guard mayLogIn() else { return }
        guard let space = argument.firstIndex(of: ASCII.space) else { return say("-ERR syntax error") }
        check(OfferedLogins.apop, Array(argument[..<space]), Array(argument[(space + 1)...])) { $0 + [ASCII.space] + $1 }
    }

    private mutating func check(_ mechanism: String, _ login: [UInt8], _ password: [UInt8], _ message: ([UInt8], [UInt8]) -> [UInt8]) {
        guard let credentials = Credentials(login: login, password: password, timestamp: timestamp) else { return say("-ERR syntax error") }
        switch profile {
        case .classic:
            state = .checking
            replies.add(.check(credentials))
        case .modern: begin(mechanism, message(login, password))
        }
    }

    /// `AUTH mechanism [initial-response]` (RFC 5034 §4). Without a mechanism older clients ask for the list.
    mutating func takeMechanism(_ argument: ArraySlice<UInt8>) {
        guard !argument.isEmpty else {
            return replies.say(list: isEncrypted || !offer.needsTLS ? offer.saslMechanisms : [])
        }
        guard mayLogIn() else { return }
        let words = argument.split(separator: ASCII.space, maxSplits: 1)
        let name = words[0].text.uppercased()
        guard offer.saslMechanisms.contains(name) else { return say("-ERR unknown mechanism") }
        guard words.count == 2 else { return begin(name, nil) }
        // A lone equals sign is an initial response of no bytes.
        guard let initial = words[1] == [ASCII.equals] ? [] : Base64.decode(words[1]) else { return say("-ERR not base64") }
        begin(name, initial)
    }

    private mutating func begin(_ mechanism: String, _ initial: [UInt8]?) {
        user = nil
        guard mechanism != OfferedLogins.plain || offer.mechanisms.contains(mechanism) else { return refuse(.mechanism) }
        state = .asking
        replies.add(.begin(mechanism: mechanism, initial: initial))
    }

    mutating func challenge(_ bytes: [UInt8]) { replies.say("+ ".utf8 + Base64.encode(bytes)) }

    mutating func takeResponse(_ line: ArraySlice<UInt8>) {
        guard line != [ASCII.asterisk] else {
            replies.add(.cancel)
            state = .waiting
            return say("-ERR login given up")
        }
        guard let response = Base64.decode(line) else {
            replies.add(.cancel)
            return refuse(.malformed)
        }
        state = .asking
        replies.add(.respond(response))
    }

    mutating func takeConfirmation(_ line: ArraySlice<UInt8>) {
        if line.isEmpty { return open() }
        state = .waiting
        say(line == [ASCII.asterisk] ? "-ERR login given up" : "-ERR an empty line was due")
    }

    mutating func open() {
        state = .opening
        replies.add(.open(said: lines.takeAll()))
    }

    mutating func refuse(_ refusal: Refusal) {
        state = .waiting
        failures += 1
        switch refusal {
        case .credentials: say("-ERR [AUTH] authorization failed")
        case .temporary: say("-ERR [SYS/TEMP] logins cannot be checked now")
        case .throttled: say("-ERR [SYS/TEMP] too many failed logins")
        case .mechanism: say("-ERR [AUTH] not by this mechanism")
        case .encryptionNeeded: say("-ERR [SYS/PERM] no login without TLS")
        case .malformed: say("-ERR not a message of this mechanism")
        }
        if failures >= limits.failures { close() }
    }
}
