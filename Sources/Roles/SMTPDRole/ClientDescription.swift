internal import Addresses
private import Bytes
internal import ConnectionRules
private import Glibc
internal import NIOCore
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

extension IPAddress {
    /// Nil on a UNIX socket.
    init?(_ address: SocketAddress?) {
        switch address {
        case .v4(let v4):
            self.init(withUnsafeBytes(of: v4.address.sin_addr) { Array($0) })
        case .v6(let v6):
            self.init(unmapped: withUnsafeBytes(of: v6.address.sin6_addr) { Array($0) })
        case .unixDomainSocket, nil: return nil
        }
    }

    /// Whom connections are counted for: a host in IPv4, a network in IPv6, where a host has as many addresses as it likes.
    var network: IPAddress { isV6 ? IPAddress(bytes[..<8] + [UInt8](repeating: 0, count: 8)) ?? self : self }
}
