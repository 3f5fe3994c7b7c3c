package import Addresses
private import Glibc
package import NIOCore

extension IPAddress {
    /// Nil on a UNIX socket.
    package init?(_ address: SocketAddress?) {
        switch address {
        case .v4(let v4):
            self.init(withUnsafeBytes(of: v4.address.sin_addr) { Array($0) })
        case .v6(let v6):
            self.init(unmapped: withUnsafeBytes(of: v6.address.sin6_addr) { Array($0) })
        case .unixDomainSocket, nil: return nil
        }
    }

    /// Whom connections are counted for: a host in IPv4, a network in IPv6, where a host has as many addresses as it likes.
    package var network: IPAddress { isV6 ? IPAddress(bytes[..<8] + [UInt8](repeating: 0, count: 8)) ?? self : self }
}
