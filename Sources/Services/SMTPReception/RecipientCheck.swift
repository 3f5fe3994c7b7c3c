package import Addresses
private import Bytes
package import Posix
package import Reception
package import SMTPServer

/// A run of the program that RCPTCHECK names, as the patch of that name has it: who is asked about stands in SENDER, RECIPIENT and HELO, and the exit
/// code is the answer.
package enum RecipientCheck {
    private static let path = "/usr/local/bin:/usr/bin:/bin"

    /// The program for this recipient, not started yet. Nothing but these variables is passed on.
    package static func program(_ client: Client, sender: Address, recipient: Address, helo: [UInt8]) -> ChildProgram? {
        guard let path = client.recipientCheck else { return nil }
        var variables: [(name: String, value: [UInt8]?)] = [
            ("PATH", Array(Self.path.utf8)), ("PROTO", Array("TCP".utf8)), ("SENDER", sender.bytes), ("RECIPIENT", recipient.bytes), ("HELO", helo),
            ("TCPREMOTEIP", client.remoteIP), ("TCPREMOTEHOST", client.remoteHost), ("TCPREMOTEINFO", client.remoteInfo),
            ("TCPLOCALHOST", client.localHost), ("RELAYCLIENT", client.relay),
        ]
        variables += client.tls?.variables.map { ($0.name, $0.value) } ?? []
        return ChildProgram(
            path: path, arguments: [path], environment: variables.compactMap { name, value in value.map { ChildProgram.variable(name, $0) } },
            directory: Array(".".utf8), hasOwnGroup: true)
    }

    package static func outcome(_ end: ChildEnd) -> Session.CheckOutcome {
        switch end {
        case .exited(100): .refused
        case .exited(111): .undecided
        case .exited(120), .killed: .notRun
        case .exited: .accepted
        }
    }
}
