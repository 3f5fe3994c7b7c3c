private import Bytes

/// RFC 5321 §4.2: a code, an enhanced status code for those who asked for it (RFC 3463), and text.
package struct Reply: Equatable, Sendable {
    package let code: Int
    /// Like `5.5.4`; nil where RFC 2034 wants none: greetings, 3xx, the reply to EHLO.
    package let status: String?
    package let lines: [[UInt8]]

    /// Bytes of a reply line's text, status included. RFC 5321 §4.5.3.1.5: 512 with code and CRLF.
    package static let maxTextBytes = 506

    package init(_ code: Int, _ status: String?, _ text: String) { self.init(code, status, lines: [Array(text.utf8)]) }

    package init(_ code: Int, _ status: String?, lines: [[UInt8]]) {
        self.code = code
        self.status = status
        self.lines = lines
    }

    package var isPermanentFailure: Bool { code >= 500 }

    /// What is not printable ASCII becomes `?`: no text, wherever it is from, can break a reply.
    package func encode(into output: inout [UInt8], for profile: Profile) {
        for (index, line) in lines.enumerated() {
            output.append(contentsOf: String(code).utf8)
            output.append(index == lines.count - 1 ? ASCII.space : ASCII.hyphen)
            let start = output.count
            if profile.hasEnhancedStatus, let status {
                output.append(contentsOf: status.utf8)
                output.append(ASCII.space)
            }
            let room = Reply.maxTextBytes - (output.count - start)
            if line.count <= room, line.allSatisfy({ $0 >= ASCII.space && $0 < 0x7F }) {
                output.append(contentsOf: line)
            } else {
                for byte in line.prefix(room) { output.append(byte == ASCII.space || byte.isGraphic ? byte : ASCII.question) }
            }
            output.append(ASCII.cr)
            output.append(ASCII.lf)
        }
    }
}

/// The replies whose text never varies. qmail's words where it has some (spec-qmail §13.2), their status in parentheses.
extension Reply {
    static let ok = Reply(250, "2.0.0", "ok")
    static let senderOk = Reply(250, "2.1.0", "ok")
    static let recipientOk = Reply(250, "2.1.5", "ok")
    static let flushed = Reply(250, "2.0.0", "flushed")
    static let goAhead = Reply(354, nil, "go ahead")
    static let willTry = Reply(252, "2.0.0", "send some mail, i'll try my best")
    static let readyForTLS = Reply(220, "2.0.0", "ready for tls")
    static let tlsUnavailable = Reply(454, "4.7.0", "sorry, no certificate is here now (#4.7.0)")
    static let tlsAlready = Reply(503, "5.5.1", "tls is on already (#5.5.1)")
    static let inputBeforeTLS = Reply(554, "5.5.0", "sorry, nothing may follow STARTTLS before tls (#5.5.0)")
    static let unimplemented = Reply(502, "5.5.1", "unimplemented (#5.5.1)")
    static let syntaxError = Reply(555, "5.5.4", "syntax error (#5.5.4)")
    static let badArgument = Reply(501, "5.5.4", "syntax error (#5.5.4)")
    static let badLine = Reply(500, "5.5.2", "syntax error (#5.5.2)")
    static let lineTooLong = Reply(500, "5.5.2", "line too long (#5.5.2)")
    static let mailFirst = Reply(503, "5.5.1", "MAIL first (#5.5.1)")
    static let recipientFirst = Reply(503, "5.5.1", "RCPT first (#5.5.1)")
    static let chunksUnderWay = Reply(503, "5.5.1", "BDAT or RSET first (#5.5.1)")
    static let badSender = Reply(553, "5.7.1", "sorry, your envelope sender is in my badmailfrom list (#5.7.1)")
    static let badHelo = Reply(553, "5.7.1", "sorry, your HELO host name is in my badhelo list (#5.7.1)")
    static let badRecipient = Reply(553, "5.7.1", "sorry, that recipient is in my badrcptto list (#5.7.1)")
    static let recipientUnverified = Reply(451, "4.3.0", "unable to verify recipient (#4.3.0)")
    static let checkNotRun = Reply(451, "4.3.0", "unable to execute recipient check (#4.3.0)")
    static let notInRcpthosts = Reply(553, "5.7.1", "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)")
    static let noMailbox = Reply(550, "5.1.1", "sorry, no mailbox here by that name (#5.1.1)")
    static let needsSMTPUTF8 = Reply(553, "5.6.7", "sorry, that address needs SMTPUTF8 (#5.6.7)")
    static let tooManyRecipients = Reply(452, "4.5.3", "sorry, that is too many recipients (#4.5.3)")
    static let tooManyHops = Reply(554, "5.4.6", "too many hops, this message is looping (#5.4.6)")
    static let tooBig = Reply(552, "5.3.4", "sorry, that message size exceeds my databytes limit (#5.3.4)")
    static let headerTooBig = Reply(552, "5.3.4", "sorry, that message header exceeds my limits (#5.3.4)")
    static let strayNewline = Reply(550, "5.5.2", "sorry, that message has a bare CR or LF (#5.5.2)")
    static let nulInMessage = Reply(550, "5.6.0", "sorry, that message has a NUL byte (#5.6.0)")
    static let classicStrayNewline = Reply(451, nil, "See https://cr.yp.to/docs/smtplf.html.")
    static let loginNeeded = Reply(530, "5.7.0", "sorry, log in first (#5.7.0)")
    static let loggedIn = Reply(235, "2.7.0", "welcome")
    static let loggedInAlready = Reply(503, "5.5.1", "you have logged in already (#5.5.1)")
    static let notInTransaction = Reply(503, "5.5.1", "not within a message (#5.5.1)")
    static let encryptionNeeded = Reply(538, "5.7.11", "sorry, no login without TLS (#5.7.11)")
    static let unknownMechanism = Reply(504, "5.5.4", "sorry, i have no such mechanism (#5.5.4)")
    static let notBase64 = Reply(501, "5.5.2", "not base64 (#5.5.2)")
    static let notOfMechanism = Reply(501, "5.5.2", "not a message of that mechanism (#5.5.2)")
    static let loginCancelled = Reply(501, "5.7.0", "login given up (#5.7.0)")
    static let loginLineTooLong = Reply(500, "5.5.6", "line too long (#5.5.6)")
    static let inputBeforeLogin = Reply(421, "4.7.0", "sorry, nothing may follow AUTH before its answer (#4.7.0)")
    static let badCredentials = Reply(535, "5.7.8", "sorry, login failed (#5.7.8)")
    static let loginsUnavailable = Reply(454, "4.7.0", "sorry, i cannot check logins now (#4.7.0)")
    static let tooManyLogins = Reply(421, "4.7.0", "sorry, too many failed logins (#4.7.0)")
    static let foreignSender = Reply(553, "5.7.1", "sorry, that sender address is not yours (#5.7.1)")
    static let accountLimit = Reply(452, "4.7.1", "sorry, you have sent your share for now (#4.7.1)")
    static let permissionUnknown = Reply(451, "4.3.0", "sorry, i cannot check what you may send now (#4.3.0)")
    static let queueUnreachable = Reply(451, "4.3.0", "qqt failure (#4.3.0)")
    static let unreadableControls = Reply(421, "4.3.0", "unable to read controls (#4.3.0)")
    static let timeout = Reply(451, "4.4.2", "timeout (#4.4.2)")
    static let tooManyErrors = Reply(421, "4.7.0", "sorry, too many errors (#4.7.0)")
    static let tooMuchJunk = Reply(421, "4.7.0", "sorry, too many commands without mail (#4.7.0)")
    package static let shuttingDown = Reply(421, "4.3.2", "shutting down (#4.3.2)")
    static let notSMTP = Reply(421, "4.7.0", "sorry, i speak SMTP only (#4.7.0)")
    /// Beyond `control/concurrencyincoming` or `concurrencyperip`.
    package static let tooManyConnections = Reply(421, "4.7.0", "sorry, too many connections (#4.7.0)")
    /// `deny` in `control/smtprules`.
    package static let notPermitted = Reply(554, "5.7.1", "sorry, you are not permitted to connect (#5.7.1)")
}
