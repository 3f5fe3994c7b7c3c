private import Bytes
private import Dates

/// Who the client is, for the Received field and for policy.
///
/// Module `Reception` is what all doors for mail from the network share, whatever they speak. It must not know commands, files or sockets.
package struct Client: Equatable, Sendable {
    /// TCPREMOTEIP; `unknown` on a UNIX socket.
    package var remoteIP: [UInt8]
    /// TCPREMOTEHOST, or `unknown`.
    package var remoteHost: [UInt8]
    /// TCPREMOTEINFO.
    package var remoteInfo: [UInt8]?
    /// TCPLOCALHOST, else TCPLOCALIP, else `unknown`.
    package var localHost: [UInt8]
    /// RELAYCLIENT: set at all, even empty, it lifts rcpthosts; its value is appended to every recipient.
    package var relay: [UInt8]?
    /// DATABYTES, when it overrides `control/databytes`; 0 is no limit.
    package var databytes: UInt64?
    /// RCPTCHECK: the program that is asked about recipients.
    package var recipientCheck: [UInt8]?
    /// RBLSMTPD: what is said to the client instead of looking into lists; empty lets it in.
    package var listText: [UInt8]?
    /// FIXCRIO: a bare LF in this client's messages is a line end.
    package var mendsLineEnds = false
    /// Nil on a connection in clear.
    package var tls: TLSDetails?

    package init(
        remoteIP: [UInt8] = Array("unknown".utf8), remoteHost: [UInt8] = Array("unknown".utf8), remoteInfo: [UInt8]? = nil,
        localHost: [UInt8] = Array("unknown".utf8), relay: [UInt8]? = nil, databytes: UInt64? = nil
    ) {
        self.remoteIP = remoteIP
        self.remoteHost = remoteHost
        self.remoteInfo = remoteInfo
        self.localHost = localHost
        self.relay = relay
        self.databytes = databytes
    }
}

/// The field in front of every message from the network, in exactly qmail's shape, which tools parse (spec-qmail §13.4); on an encrypted connection
/// version and cipher follow in a comment (docs/decisions/0017).
/// - Parameters:
///   - helo: what the client called itself; empty where the protocol has no such thing.
///   - protocol: after `with`.
package func receivedField(from client: Client, helo: [UInt8] = [], with protocol: StaticString, at seconds: UInt64) -> [UInt8] {
    var field: [UInt8] = []
    field.append("Received: from ")
    field.append(safe: client.remoteHost)
    if !helo.isEmpty, !helo.equalsIgnoringCase(client.remoteHost) {
        field.append(" (HELO ")
        field.append(safe: helo)
        field.append(")")
    }
    field.append(" (")
    if let info = client.remoteInfo {
        field.append(safe: info)
        field.append("@")
    }
    field.append(safe: client.remoteIP)
    field.append(")\n  by ")
    field.append(safe: client.localHost)
    field.append(" with ")
    field.append(`protocol`)
    if let tls = client.tls {
        field.append(" (")
        field.append(contentsOf: tls.version)
        field.append(ASCII.space)
        field.append(contentsOf: tls.cipher)
        field.append(")")
    }
    field.append("; ")
    field.append(contentsOf: MailDate(seconds).header.utf8)
    field.append(ASCII.lf)
    return field
}

extension [UInt8] {
    /// What comes from outside: letters, digits and `. @ % + / = : - [ ]`; the rest becomes `?`.
    fileprivate mutating func append(safe bytes: [UInt8]) {
        for byte in bytes { append(byte.isLetter || byte.isDigit || safePunctuation.contains(byte) ? byte : ASCII.question) }
    }
}

private let safePunctuation: Set<UInt8> = Set(".@%+/=:-[]".utf8)
