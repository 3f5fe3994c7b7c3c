private import Bytes

/// The mailing lists that a user reads (spec-qmail §11.3). A sorted array: the program lives for one message, and most users have none.
package struct MailingLists: Sendable {
    /// In lower case.
    private let addresses: [[UInt8]]

    package init(_ addresses: [[UInt8]]) {
        self.addresses = addresses.map { $0.lowercasedASCII() }.sorted { $0.lexicographicallyPrecedes($1) }
    }

    var isEmpty: Bool { addresses.isEmpty }

    func contains(_ address: [UInt8]) -> Bool {
        let wanted = address.lowercasedASCII()
        var (low, high) = (0, addresses.count)
        while low < high {
            let middle = (low + high) / 2
            if addresses[middle].lexicographicallyPrecedes(wanted) { low = middle + 1 } else { high = middle }
        }
        return low < addresses.count && addresses[low] == wanted
    }
}
