private import Bytes

/// AUTH: RFC 4954 §4.
extension Session {
    var mayLogIn: Bool { !logins.mechanisms.isEmpty && (isEncrypted || logins.isForClear) }

    /// `AUTH mechanism [initial-response]`; nothing may follow it before its answer.
    mutating func authenticate(_ argument: ArraySlice<UInt8>) {
        guard account == nil else { return refuse(.loggedInAlready) }
        guard case .idle = state else { return refuse(.notInTransaction) }
        guard mayLogIn else { return refuse(.encryptionNeeded) }
        let words = argument.split(separator: ASCII.space)
        guard let name = words.first, words.count <= 2 else { return refuse(.badArgument) }
        guard let mechanism = logins.mechanisms.first(where: { name.equalsIgnoringCase($0.utf8) }) else { return refuse(.unknownMechanism) }
        var initial: [UInt8]?
        if words.count == 2 {
            // A lone equals sign is a response of no bytes.
            initial = words[1].elementsEqual([ASCII.equals]) ? [] : Base64.decode(words[1])
            guard initial != nil else { return refuse(.notBase64) }
        }
        state = .loggingIn
        actions.append(.beginLogin(mechanism: mechanism, initial: initial))
    }

    /// A line that answers a challenge.
    mutating func respond(_ line: [UInt8]) {
        guard line != [UInt8(ascii: "*")] else { return giveUpLogin(.loginCancelled) }
        guard let response = Base64.decode(line) else { return giveUpLogin(.notBase64) }
        state = .loggingIn
        actions.append(.continueLogin(response))
    }

    mutating func giveUpLogin(_ refusal: Reply) {
        abandonMessage()
        state = .idle
        refuse(refusal)
    }

    /// The line after a mechanism's last word, which has nothing to say.
    mutating func confirm(_ line: [UInt8], _ account: [UInt8]) {
        state = .idle
        guard line.isEmpty else { return refuse(line == [UInt8(ascii: "*")] ? .loginCancelled : .badArgument) }
        logIn(account)
    }

    mutating func logIn(_ account: [UInt8]) {
        state = .idle
        self.account = account
        reply(.loggedIn)
    }

    mutating func challenge(_ bytes: [UInt8]) { reply(Reply(334, nil, lines: [Base64.encode(bytes)])) }

    mutating func refuseLogin(_ refusal: LoginRefusal) {
        state = .idle
        failedLogins += 1
        guard failedLogins < limits.failedLogins else { return close(with: .tooManyErrors) }
        switch refusal {
        case .credentials: refuse(.badCredentials)
        case .temporary: refuse(.loginsUnavailable)
        case .throttled: close(with: .tooManyLogins)
        case .mechanism: refuse(.unknownMechanism)
        case .encryptionNeeded: refuse(.encryptionNeeded)
        case .malformed: refuse(.notOfMechanism)
        }
    }
}
