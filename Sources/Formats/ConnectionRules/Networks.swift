package import Addresses
private import Bytes

/// Hosts and networks that a control file lists: `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`, and `unix` for clients of UNIX sockets.
package struct Networks: Equatable, Sendable {
    private var prefixes: [AddressPrefix] = []
    private var hasUNIX = false

    /// Nobody.
    package init() {}

    /// - Throws: the entry that is none of these.
    package init(_ entries: some Sequence<[UInt8]>) throws(BadEntry) {
        for entry in entries {
            if entry.elementsEqual("unix".utf8) {
                hasUNIX = true
            } else if let prefix = AddressPrefix(entry[...]) {
                prefixes.append(prefix)
            } else {
                throw BadEntry(text: entry)
            }
        }
    }

    /// - Parameter address: nil on a UNIX socket.
    package func contains(_ address: IPAddress?) -> Bool {
        guard let address else { return hasUNIX }
        return prefixes.contains { $0.contains(address.bytes) }
    }

    package struct BadEntry: Error, Equatable { package let text: [UInt8] }
}
