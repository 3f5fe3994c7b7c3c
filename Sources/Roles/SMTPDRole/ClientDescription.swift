internal import Addresses
private import Bytes
internal import ConnectionRules
internal import Reception
private import SMTPReception
internal import SMTPServer

extension Client {
    /// A connection from `address` with the variables of its rule. What tcpserver would look up stays unknown: no DNS, no ident.
    init(_ address: IPAddress?, _ assignments: [ConnectionRules.Assignment], localHost: [UInt8]) {
        self.init(remoteIP: ConnectionOrigin(address: address).addressText, localHost: localHost)
        // A rule's TCPLOCALIP says less than the name that is known already.
        for assignment in assignments where assignment.name.text != "TCPLOCALIP" { set(assignment.name.text, assignment.value) }
    }
}
